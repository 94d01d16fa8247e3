"""Every message that docs/troubleshooting.md explains is one that is printed."""

import re

from made.place import ROOT


def test_every_message_is_in_the_source() -> None:
    sources = [*ROOT.glob("src/**/*.bash"), *ROOT.glob("src/**/*.py")]
    text = "\n".join(path.read_text() for path in sources)
    # Python's strings are broken over lines.
    text = re.sub(r'"\s*\n\s*f?"', "", text)
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    messages = re.findall(r"\*\*`([^`]+)`", page)
    assert len(messages) > 10
    for message in messages:
        # What stands for a path or a number is not looked for.
        for part in re.split(r"(?:^|\s)(?:\S*/\S*|\d+)(?:\s|$)|\.\.\.", message.replace("\n", " ")):
            assert part in text, message
