"""Recognise camera RAW files; many begin like a TIFF or HEIF file."""

from tensor_guess.errors import Unreadable
from tensor_guess.images import tiff
from tensor_guess.images.tiff import Tiff

# The first bytes of the kinds that are not TIFF.
_STARTS = {
    b"FUJIFILMCCD-RAW": "RAF",
    b"IIU\0": "RW2",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"\0MRM": "MRW",
    b"FOVb": "X3F",
}
_BY_MAKER = {
    "NIKON": "NEF",
    "SONY": "ARW",
    "PENTAX": "PEF",
    "RICOH": "PEF",
    "SAMSUNG": "SRW",
    "EPSON": "ERF",
    "HASSELBLAD": "3FR",
    "PHASE ONE": "IIQ",
    "LEAF": "MOS",
    "MAMIYA": "MEF",
    "KODAK": "DCR",
}
# How names of such files end; each maker has had several kinds.
EXTENSIONS = frozenset(
    {each.lower() for each in (*_STARTS.values(), *_BY_MAKER.values())}
    | {"cr2", "cr3", "crw", "dng", "fff", "gpr", "kdc", "nrw", "rwl", "sr2", "srf"}
)
# TIFF/EP (ISO 12234-2) and DNG 1.7: a tag, and values of the tag PhotometricInterpretation.
_DNG_VERSION = 50706
_FILTERS, _LINEAR = 32803, 34892


def check(data: bytes) -> None:
    """Raise Unreadable, naming the kind, if these are the bytes of a camera RAW file.

    The first image in such a file is only a thumbnail; the picture itself has to be developed.
    """
    kind = _kind(data)
    if kind:
        raise Unreadable(f"is a camera RAW file ({kind}); export it as JPEG")


def _kind(data: bytes) -> str | None:
    for start, kind in _STARTS.items():
        if data.startswith(start):
            return kind
    if data[4:12] == b"ftypcrx ":
        return "CR3"
    return _of_tiff(data) if data.startswith(tiff.STARTS) else None


def _of_tiff(data: bytes) -> str | None:
    if data[8:10] == b"CR":
        return "CR2"
    file, maker, raw = Tiff(data), "", False
    for tags in file.folders():
        if _DNG_VERSION in tags:
            return "DNG"
        maker = maker or file.text(tags.get(tiff.MAKER)).upper().strip("\0 ")
        raw = raw or bool({_FILTERS, _LINEAR} & set(file.numbers(tags.get(tiff.COLOURS))))
    if not raw:
        return None
    return next((kind for name, kind in _BY_MAKER.items() if maker.startswith(name)), "TIFF/EP")
