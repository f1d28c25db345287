"""The contestants: the usual ways to run the same weights, and brinkline."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import transformers
from numpy.typing import NDArray
from onnx import numpy_helper
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from brinkline.model.checkpoint import TOKENIZER, WEIGHTS
from brinkline.model.classifier import Classifier, load, probabilities
from brinkline.model.encoding import SentenceEncoder
from brinkline.model.engine import run_sorted
from brinkline.model.errors import BrinklineError
from brinkline.model.labels import STANCES
from brinkline.model.network import Network, load_base
from brinkline.train.scoring import TorchEngine
from brinkline.train.unrounded import pooling_of, restore

FloatArray = NDArray[np.float64]

ARTICLE = 25
"""Sentences of an article."""


class SpeedError(BrinklineError, ValueError):
    """The contestants cannot be compared."""


@dataclass(frozen=True)
class Contestant:
    """One way to score sentences."""

    name: str
    run: Callable[[Any], Any]
    """What is timed."""
    stance: Callable[[Any], FloatArray] | None = None
    """Result of ``run`` to stance probabilities, *Shape:* ``(n, 3)``; None where it has other sentences."""
    prepare: Callable[[Sequence[str]], Any] = list
    """Sentences to what ``run`` takes; not timed."""
    temperature: float = 1.0
    """What the logits were divided by before the softmax."""
    own: bool = False
    """One of brinkline's."""


@dataclass(frozen=True)
class Peers:
    """The same weights in each library."""

    classifier: Classifier
    network: Network
    encoder: SentenceEncoder
    bert: BertForSequenceClassification
    tokenizer: PreTrainedTokenizerFast
    sentences: SentenceTransformer
    folder: Path
    """Where transformers' pipeline finds its model."""


def load_network(model: Path, checkpoint: Path | None) -> Network:
    """Return the torch network with the weights of the model to be measured, in fp32.

    :param model: the model folder.
    :param checkpoint: where its fp32 weights are: a training checkpoint, or an ``.onnx`` file that computes in fp32; by
        default the model folder's own ``model.onnx``.
    :raises SpeedError: where the weights are not found in the file.
    """
    if checkpoint is not None and checkpoint.is_dir():
        return Network.load(checkpoint)[0]
    path = checkpoint or model / WEIGHTS
    model_file = onnx.load(str(path))
    found = onnx_weights(model_file)
    network = Network(load_base("packaged")[0], pooling=pooling_of(model_file))
    wanted = network.state_dict()
    missing = sorted(
        name
        for name, tensor in wanted.items()
        if name not in found or found[name].shape != tuple(tensor.shape)
    )
    if missing:
        raise SpeedError(
            f"{path}: {len(missing)} of {len(wanted)} weights are not there as all-MiniLM-L6-v2 has them, "
            f"the first is {missing[0]}: name the training checkpoint with --checkpoint"
        )
    network.load_state_dict({name: torch.from_numpy(np.array(found[name], np.float32)) for name in wanted})
    return network.eval()


def onnx_weights(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Return the weights of an exported file under their torch names, as fp32.

    :param model: written by ``brinkline.train.export``, by its own graph or by torch's exporter; matrices may be fp32
        or integers with scales.
    """
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return restore(model)[0] if "words" in arrays else _traced_weights(model.graph, arrays)


def _traced_weights(graph: onnx.GraphProto, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Name what torch's exporter wrote.

    It keeps names, but for the matrices of linear layers, which it turns over and numbers: those are named after the
    bias that is added to their product.
    """
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
        if node.op_type == "DequantizeLinear" and all(name in arrays for name in node.input):
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            arrays[node.output[0]] = _dequantise(*(arrays[name] for name in node.input), axis=axis)
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            added = [name for user in users[node.output[0]] if user.op_type == "Add" for name in user.input]
            for bias in added:
                if bias.endswith(".bias"):
                    arrays[f"{bias.removesuffix('bias')}weight"] = arrays[node.input[1]].T
    return arrays


def _dequantise(
    values: NDArray[Any], scales: NDArray[Any], zeros: NDArray[Any] | None = None, *, axis: int
) -> NDArray[Any]:
    """Compute ONNX's DequantizeLinear: one scale for all, one a channel, or one a block of a channel."""

    def spread(array: NDArray[Any]) -> NDArray[Any]:
        if array.ndim == values.ndim and array.ndim > 1:
            return np.repeat(array, values.shape[axis] // array.shape[axis], axis)
        return array.reshape([-1 if i == axis and array.size > 1 else 1 for i in range(values.ndim)])

    shifted = values.astype(np.float32) - (0 if zeros is None else spread(zeros).astype(np.float32))
    return shifted * spread(scales)


def build(model: Path, checkpoint: Path | None, folder: Path, threads: int) -> Peers:
    """Put the same weights into every library.

    :param model: the model folder to be measured.
    :param checkpoint: see :func:`load_network`.
    :param folder: an empty folder, for the model as transformers stores it.
    :param threads: for every contestant.
    :raises SpeedError: where the model is not one that the peers can run.
    """
    torch.set_num_threads(threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    classifier = load(model, threads=threads)
    if classifier.manifest.context:
        raise SpeedError(f"{model}: reads context, which the other libraries' ways do not give")
    network = load_network(model, checkpoint)
    if not isinstance(network.encoder, BertModel):
        raise SpeedError(f"{model}: its encoder is {type(network.encoder).__name__}, only BERT is compared")
    encoder = SentenceEncoder.from_file(model / TOKENIZER, classifier.manifest.max_tokens)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(model / TOKENIZER),
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=encoder.max_tokens,
    )
    bert = _sequence_classifier(network)
    bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformer = Transformer(str(folder), max_seq_length=encoder.max_tokens)
    pooled = Pooling(network.encoder.config.hidden_size, {"first": "cls", "mean": "mean"}[network.pooling])
    sentences = SentenceTransformer(modules=[transformer, pooled], device="cpu")
    bert.bert = _PooledBert(
        network
    ).eval()  # after which transformers' own class computes what the network does
    return Peers(classifier, network, encoder, bert.eval(), tokenizer, sentences, folder)


def _sequence_classifier(network: Network) -> BertForSequenceClassification:
    """Return the encoder and the stance head as transformers' own class: the signals' head is left out."""
    config = copy.deepcopy(network.encoder.config)
    config.id2label = dict(enumerate(STANCES))
    config.label2id = {name: number for number, name in config.id2label.items()}
    config.problem_type = "single_label_classification"
    torch.manual_seed(0)  # its pooling layer, which this network has no weights for
    bert = BertForSequenceClassification(config)
    bert.bert.load_state_dict(network.encoder.state_dict(), strict=False)
    bert.classifier.load_state_dict(network.stance_head.state_dict())
    return bert.eval()


class _PooledBert(BertModel):
    """BERT with the sentence's vector as its pooled output."""

    def __init__(self, network: Network) -> None:
        super().__init__(copy.deepcopy(network.encoder.config), add_pooling_layer=False)
        self.load_state_dict(network.encoder.state_dict())
        self.reads_first = network.pooling == "first"

    def forward(self, *arguments: Any, **named: Any) -> Any:
        result = super().forward(*arguments, **named)
        hidden = result.last_hidden_state
        if self.reads_first:
            result.pooler_output = hidden[:, 0]
        else:
            mask = named["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            result.pooler_output = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return result


def with_pipeline(peers: Peers, batch: int) -> Contestant:
    """Return transformers' ``pipeline``, as its documentation uses it."""
    pipe = transformers.pipeline(
        "text-classification", model=peers.bert, tokenizer=peers.tokenizer, device="cpu", top_k=None
    )

    def run(texts: list[str]) -> Any:
        return pipe(texts, batch_size=batch, truncation=True)

    def stance(result: list[list[dict[str, Any]]]) -> FloatArray:
        rows = [{item["label"]: item["score"] for item in row} for row in result]
        return np.array([[row[name] for name in STANCES] for row in rows])

    return Contestant(f"pipeline, batch {batch}", run, stance)


def with_sentence_transformers(peers: Peers, batch: int = 32) -> Contestant:
    """Return SentenceTransformer and a linear head on its vectors (SetFit, Tunstall et al. 2022, arXiv:2209.11055)."""
    weight = peers.network.stance_head.weight.detach().numpy()
    bias = peers.network.stance_head.bias.detach().numpy()

    def run(texts: list[str]) -> FloatArray:
        vectors = peers.sentences.encode(texts, batch_size=batch, show_progress_bar=False)
        return _softmax(vectors @ weight.T + bias)

    return Contestant("sentence-transformers + head", run, np.asarray)


def with_torch(peers: Peers, bfloat16: bool = False, batch: int = 32) -> Contestant:
    """Return the network in torch, eager, in batches of like length."""
    engine = TorchEngine(peers.network, bfloat16)

    def run(texts: list[str]) -> FloatArray:
        encoded = peers.encoder.encode(texts)
        return _softmax(run_sorted(engine, encoded, peers.encoder.pad_id, batch).stance)

    return Contestant(f"torch eager, {'bf16' if bfloat16 else 'fp32'}", run, np.asarray)


def with_brinkline(peers: Peers, batch: int = 32) -> Contestant:
    """Return ``Classifier.predict_sentences``: from sentences to finished results."""

    def stance(result: list[Any]) -> FloatArray:
        return np.array([list(score.stance_probabilities.values()) for score in result])

    return Contestant(
        "brinkline predict_sentences",
        lambda texts: peers.classifier.predict_sentences(texts, batch_size=batch),
        stance,
        temperature=peers.classifier.manifest.calibration.stance_temperature,
        own=True,
    )


def with_articles(peers: Peers) -> Contestant:
    """Return ``Classifier.predict_many`` on whole articles: splitting is timed too."""
    return Contestant(
        "brinkline predict_many (splits)",
        lambda articles: list(peers.classifier.predict_many(articles, progress=False)),
        prepare=to_articles,
        own=True,
    )


def with_engine(peers: Peers) -> Contestant:
    """Return brinkline's engine on token ids: without splitting, tokenising and results."""
    calibration = peers.classifier.manifest.calibration
    return Contestant(
        "brinkline engine alone",
        peers.classifier.logits,
        lambda result: probabilities(result, calibration)[0],
        peers.classifier.encode,
        calibration.stance_temperature,
        own=True,
    )


def to_articles(texts: Sequence[str]) -> list[str]:
    """Join sentences to articles of :data:`ARTICLE`."""
    return [" ".join(texts[start : start + ARTICLE]) for start in range(0, len(texts), ARTICLE)]


def compare(contestants: Sequence[Contestant], texts: Sequence[str]) -> list[dict[str, Any]]:
    """Compare stance logits with those of the first contestant.

    :param contestants: those without ``stance`` are passed over.
    :param texts: the sentences.
    :return: for each its name, the largest difference of a logit (less their mean, which no softmax sees) and how many
        sentences have another stance.
    """
    found = []
    reference: FloatArray | None = None
    for contestant in contestants:
        if contestant.stance is None:
            continue
        share = contestant.stance(contestant.run(contestant.prepare(texts)))
        logits = np.log(np.maximum(share, 1e-30)) * contestant.temperature
        logits -= logits.mean(axis=1, keepdims=True)
        reference = logits if reference is None else reference
        found.append(
            {
                "name": contestant.name,
                "largest_logit_difference": float(np.abs(logits - reference).max()),
                "other_stances": int((logits.argmax(axis=1) != reference.argmax(axis=1)).sum()),
            }
        )
    return found


def _softmax(logits: NDArray[Any]) -> FloatArray:
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
