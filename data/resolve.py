"""Many annotators' labels to one label a sentence, and what is left to settle by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from brinkline.data.agreement import Labels
from brinkline.data.annotations import Annotation
from brinkline.data.corpus import normalised
from brinkline.data.tasks import Task, is_changed, to_fields
from brinkline.model.labels import SIGNALS

Changed = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """One label a sentence."""

    labelled: tuple[tuple[Task, Labels, int], ...]
    """Sentence, stance and signals, and how many annotators they rest on, in the order in which they were read."""
    disagreements: tuple[tuple[Task, Mapping[str, Labels]], ...]
    """Sentences without a majority, or whose text differs between annotators; what each annotator said."""
    counts: Mapping[str, int]
    """What happened to how many annotations or sentences, for people to read."""

    def rows(self) -> list[dict[str, Any]]:
        """Return the labelled sentences as rows of the labelled-sentence format."""
        return [_row(*item) for item in self.labelled]

    def disagreement_rows(self) -> list[dict[str, Any]]:
        """Return the rest as rows to be filled in: ``stance`` and ``signals`` are empty, ``said`` is who said what."""
        return [
            {
                **_named(task),
                "said": {name: " ".join((stance, *signals)) for name, (stance, signals) in said.items()},
                "stance": "",
                "signals": [],
                "annotator": "",
            }
            for task, said in self.disagreements
        ]


def resolve(
    annotations: Iterable[Annotation], settled: Iterable[Annotation] = (), changed: Changed = "keep"
) -> Resolved:
    """Settle on one label a sentence.

    Of several answers of one annotator the last counts. The stance is the one that more annotators gave than any other,
    a signal is given where more than half gave it; without such a majority the sentence is left as a disagreement, and
    so it is where annotators saw different texts.

    :param annotations: as :func:`brinkline.data.annotations.read_annotations` gives them.
    :param settled: labels that stand whatever the others said: adjudicated disagreements.
    :param changed: what becomes of a sentence whose text is no longer the one sent out: ``keep`` it with the text that
        was labelled, or ``drop`` it.
    """
    read, final = list(annotations), list(settled)
    counts = _count(read)
    groups = _grouped([*read, *final])
    last = {item.task.id: item for item in final if item.status == "labelled"}
    labelled: list[tuple[Task, Labels, int]] = []
    disagreements: list[tuple[Task, Mapping[str, Labels]]] = []
    for name, members in groups.items():
        if name in last:
            members = {last[name].annotator: last[name]}
        task = next(iter(members.values())).task
        if any(is_changed(item.task) for item in members.values()):
            counts["changed"] += 1
            if changed == "drop":
                continue
        said = {who: (item.stance, item.signals) for who, item in members.items()}
        same_text = len({item.task.text for item in members.values()}) == 1
        if same_text and (labels := majority(list(said.values()))) is not None:
            labelled.append((task, labels, len(said)))
        else:
            disagreements.append((task, said))
    counts["labelled"], counts["disagreements"] = len(labelled), len(disagreements)
    alike: dict[tuple[str, str], set[Labels]] = defaultdict(set)
    for task, labels, _ in labelled:
        alike[normalised(task.text), normalised(task.previous)].add(labels)
    counts["conflicts"] = sum(len(found) > 1 for found in alike.values())
    counts["as suggested"] = sum(
        task.suggestion is not None and (task.suggestion.stance, task.suggestion.signals) == labels
        for task, labels, _ in labelled
    )
    return Resolved(tuple(labelled), tuple(disagreements), counts)


def majority(said: Sequence[Labels]) -> Labels | None:
    """Return the labels that most annotators gave, or None where there is a tie over anything.

    :param said: at least one annotator's stance and signals.
    """
    ranked = Counter(stance for stance, _ in said).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None
    votes = {name: sum(name in signals for _, signals in said) for name in SIGNALS}
    if any(2 * count == len(said) for count in votes.values()):
        return None
    return ranked[0][0], tuple(name for name, count in votes.items() if 2 * count > len(said))


def labellings(annotations: Iterable[Annotation]) -> dict[str, dict[str, Labels]]:
    """Return annotator → sentence → labels, the last answer of each; what is not labelled is left out."""
    found: dict[str, dict[str, Labels]] = defaultdict(dict)
    for name, members in _grouped(annotations).items():
        for who, item in members.items():
            found[who][name] = (item.stance, item.signals)
    return dict(sorted(found.items()))


def _grouped(annotations: Iterable[Annotation]) -> dict[str, dict[str, Annotation]]:
    """Return sentence → annotator → the last answer, of those who labelled it."""
    answers: dict[tuple[str, str], Annotation] = {}
    for item in annotations:
        key = (item.task.id, item.annotator)
        # In a file without times, the later line is the later answer.
        if item.status != "unlabelled" and (key not in answers or item.time >= answers[key].time):
            answers[key] = item
    groups: dict[str, dict[str, Annotation]] = {}
    for (name, who), item in answers.items():
        if item.status == "labelled":
            groups.setdefault(name, {})[who] = item
    return groups


def _count(annotations: Sequence[Annotation]) -> Counter[str]:
    counts: Counter[str] = Counter(item.status for item in annotations)
    counts["annotations"] = counts.pop("labelled", 0)
    counts["sentences"] = len({item.task.id for item in annotations})
    counts["annotators"] = len({item.annotator for item in annotations if item.status == "labelled"})
    said: dict[tuple[str, str], set[Labels]] = defaultdict(set)
    for item in annotations:
        if item.status == "labelled":
            key = (item.task.id, item.annotator)
            counts["repeated"] += key in said
            said[key].add((item.stance, item.signals))
    counts["contradictions"] = sum(len(labels) > 1 for labels in said.values())
    return counts


def _row(task: Task, labels: Labels, annotators: int) -> dict[str, Any]:
    fields = _named(task)
    row = {key: fields[key] for key in ("id", "document", "previous", "text") if fields[key]}
    kept = {key: fields[key] for key in ("start", "end", "why", "chance") if fields[key] not in (None, "")}
    return {**row, "stance": labels[0], "signals": list(labels[1]), **kept, "annotators": annotators}


def _named(task: Task) -> dict[str, Any]:
    fields = to_fields(task)
    return {"id": fields.pop("sentence_id"), **fields}
