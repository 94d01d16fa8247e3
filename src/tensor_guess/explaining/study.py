"""Study a guess: change parts of the picture, and see what that does to the answer."""

import os
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tensor_guess.config import PAD
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.evaluation import maps
from tensor_guess.explaining import patches, study_page
from tensor_guess.explaining.explain import NO_PICTURES, Subject, check_out, small
from tensor_guess.explaining.patches import CHANGES, Mask
from tensor_guess.explaining.study_page import Figure, Section
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.images.pixels import Pixels
from tensor_guess.system import reading
from tensor_guess.system.durable import publish

Floats = NDArray[np.float32]

_GRIDS = (4, 8)  # patches along each side
_SIDE = 320
_GREY = 128
_WHITE = 240  # a ground at least as bright is called white
_PLAIN = 0.05  # a smaller part of the picture is no ground


def check(out: Path, which: Given | Imagenet) -> None:
    """Raise WrongUsage or UserError, before any work, if `out` cannot be written.

    Only the page of a study is replaced, and none is written among the training pictures.
    """
    check_out(out, which)
    if os.path.lexists(out):
        try:
            with reading.opened(out, follow=False) as file:
                ours = study_page.is_ours(file.read(study_page.HEAD))
        except Unreadable:
            ours = False
        if not ours:
            raise WrongUsage(
                f"{shown(out)} is there already, and is not the page of a study; "
                "choose another name"
            )


def study(
    which: Given | Imagenet, path: Path, out: Path, precision: str | None = None
) -> list[str]:
    """Write a page to `out` on why `path` gets its label, and return the findings.

    `precision` is the precision to compute in; None means the classifier's own. Raise UserError if
    that is impossible, or if `out` cannot be written.
    """
    subject = Subject(which, path, False, precision)
    if len(subject.best) < 2:
        raise UserError("the classifier has one label only, so no change can turn its answer")
    trial = _Trial(subject)
    parts = [_found(trial), _patches(trial), _region(trial), _ground(trial), _looks(subject)]
    findings = [finding for own, _ in parts for finding in own]
    data = study_page.page(f"Study of {path.name}", findings, [section for _, section in parts])
    publish(out, data)
    return findings


class _Trial:
    """The picture with each patch changed, all in one run.

    `drops`: by change and number of patches along each side, how far each patch alone lets the best
    label fall behind the second: a difference of logits. `white`, `ground_white`, `ground_grey`:
    the scores of a picture of nothing but white, and with another ground. `view`: the picture as it
    is shown.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject, self.view = subject, subject.view(_SIDE)
        self.a, self.b = subject.best[:2]
        image = subject.image
        self.cells = {count: patches.grid(len(image), count) for count in _GRIDS}
        self.to = {name: change(image) for name, change in CHANGES.items()}
        self.ground: Mask = patches.ground(image)
        grey = np.full_like(image, _GREY)
        self.on_white = patches.changed(image, self.ground, patches.white(image))
        self.on_grey = patches.changed(image, self.ground, grey)
        others = [patches.white(image), self.on_white, self.on_grey]
        plan = [(name, count, mask) for name in CHANGES for count in _GRIDS
                for mask in self.cells[count]]  # fmt: skip
        masked = (patches.changed(image, mask, self.to[name]) for name, _, mask in plan)
        scores = subject.score(chain(others, masked))
        self.white, self.ground_white, self.ground_grey = scores[: len(others)]
        before = patches.margins(subject.scores[None], self.a, self.b)[0]
        ahead = patches.margins(scores[len(others) :], self.a, self.b)
        self.drops, self.changed_scores = dict[tuple[str, int], Floats](), {}
        start = 0
        for name in CHANGES:
            for count in _GRIDS:
                part = slice(start, start + count * count)
                self.drops[name, count] = before - ahead[part]
                self.changed_scores[name, count] = scores[len(others) :][part]
                start = part.stop

    def label(self, k: int) -> str:
        return shown(self.subject.record.labels[k])

    def answer(self, scores: Floats) -> str:
        """Return the best label with its score."""
        k = int(scores.argmax())
        return f"{self.label(k)} ({scores[k]:.5f})"

    def shown(self, image: Pixels) -> NDArray[np.uint8]:
        """Return what the network was fed, in the shape of the picture."""
        height, width = self.view.shape[:2]
        square = Image.fromarray(np.asarray(image).round().clip(0, 255).astype(np.uint8))
        return np.asarray(square.resize((width, height), Image.Resampling.BILINEAR))


# Findings, and the section that shows them.
_Part = tuple[list[str], Section]


def _found(trial: _Trial) -> _Part:
    subject = trial.subject
    scores = ", ".join(f"{trial.label(k)} {subject.scores[k]:.5f}" for k in subject.best[:5])
    how, shares = subject.evidence()
    figures = [Figure(trial.view, "the picture", "the picture")]
    for k, share in zip((trial.a, trial.b), shares, strict=True):
        caption = f"speaks for {trial.label(k)}: bright (score {subject.scores[k]:.5f})"
        figures.append(Figure(maps.overlay(trial.view, share), caption, f"the picture; {caption}"))
    about = f"{how}; backbone: {subject.record.backbone}"
    if fit := subject.record.scaling.how:
        about += f"; the picture is {fit}, and this is what is changed below"
    return [f"guessed: {scores}"], Section("What was guessed", [about], figures)


def _patches(trial: _Trial) -> _Part:
    findings, figures = list[str](), list[Figure]()
    finest = max(_GRIDS)
    for (name, count), drops in trial.drops.items():
        share = np.maximum(drops, 0).reshape(count, count)
        share /= max(float(share.max()), 1e-6)
        caption = f"{count} x {count} patches {name}: the brighter, the more it costs"
        figures.append(Figure(maps.overlay(trial.view, share), caption, f"the picture; {caption}"))
        if count == finest:
            worst = int(drops.argmax())
            after = trial.changed_scores[name, count][worst]
            row, column = divmod(worst, count)
            findings.append(
                f"the patch that matters most when {name} is in row {row + 1}, column "
                f"{column + 1} of {count} x {count}: {trial.label(trial.a)} "
                f"{trial.subject.scores[trial.a]:.5f} becomes {after[trial.a]:.5f}"
            )
    about = (
        f"Each patch was changed alone. What it costs is how far {trial.label(trial.a)} falls "
        f"behind {trial.label(trial.b)} (a difference of logits)."
    )
    return findings, Section("Which patches matter", [about], figures)


def _region(trial: _Trial) -> _Part:
    findings, figures = list[str](), list[Figure]()
    count = max(_GRIDS)
    for name, to in trial.to.items():
        drops = trial.drops[name, count]
        image = trial.subject.image
        found = patches.turning(image, to, trial.cells[count], drops, trial.subject.score)
        if found is None:
            findings.append(f"the answer stays even with all of the picture {name}")
            continue
        share = f"{100 * found.share:.0f}% of the picture {name}"
        said = f"with {share}, the answer is {trial.answer(found.scores)}"
        findings.append(said)
        picture = trial.shown(patches.changed(image, found.mask, to))
        figures.append(Figure(picture, said, f"the picture with that region {name}"))
    about = (
        "The region grows from the patches that matter most, until the answer turns; then what is "
        "not needed is taken away. There may be smaller ones."
    )
    return findings, Section("The smallest region found that turns the answer", [about], figures)


def _ground(trial: _Trial) -> _Part:
    subject, share = trial.subject, float(trial.ground.mean())
    findings = [f"a picture of nothing but white is guessed {trial.answer(trial.white)}"]
    figures = list[Figure]()
    if share < _PLAIN:
        findings.append("it has no plain ground to change: colours and edges reach its border")
    else:
        is_white = float(np.asarray(subject.image)[trial.ground].mean()) >= _WHITE
        borders = " with the borders" if subject.record.scaling.fit == PAD else ""
        of = f"its ground{borders}, {100 * share:.0f}% of the picture,"
        if is_white:
            findings.append(f"{of} is white already")
        for colour, image, scores in (
            ("white", trial.on_white, trial.ground_white),
            ("grey", trial.on_grey, trial.ground_grey),
        ):
            if colour == "white" and is_white:
                continue
            said = f"{of} made {colour}: {trial.answer(scores)}"
            findings.append(said)
            figures.append(Figure(trial.shown(image), said, f"the picture with a {colour} ground"))
    about = (
        "The ground is what is connected to the border of the picture without a step in colour. "
        "What is guessed of nothing but white shows which label the classifier prefers there."
    )
    return findings, Section("What the ground does", [about], figures)


def _looks(subject: Subject) -> _Part:
    findings, figures = list[str](), list[Figure]()
    about = "Distances are 1 - the cosine of the bottlenecks."
    for k in subject.best[:2]:
        label, like = shown(subject.record.labels[k]), subject.like(k)
        if like is None:
            break
        if not like.pictures:
            findings.append(f"{label} has no training picture")
            continue
        away = f"{like.pictures[0][1]:.2f} (near: up to {like.limit:.2f})"
        if like.near:
            findings.append(f"the nearest training picture of {label} is at {away}")
        else:
            findings.append(
                f"no near picture of {label}: the nearest is at {away}; if the picture belongs to "
                f"{label}, that category lacks this look"
            )
        for path, distance in like.pictures:
            if (image := small(path)) is not None:
                caption = f"{label}, distance {distance:.2f}: {path.name}"
                figures.append(Figure(image, caption, f"training picture of {caption}", True))
    if subject.unknown:
        findings.append(f"nearest training pictures: unknown, {NO_PICTURES} ({subject.unknown})")
    else:
        about += (
            " Near is the distance within which 95 of 100 training pictures of the label have "
            "another one of it."
        )
    return findings, Section("Which look is missing", [about], figures)
