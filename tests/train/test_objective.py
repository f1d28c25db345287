"""The loss agrees with torch's own where torch has one, and its extras do what they say."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from brinkline.train.contrastive import contrastive_loss
from brinkline.train.objective import ClassWeights, Objective, signal_divergence, stance_divergence

torch.manual_seed(0)
STANCE, SIGNALS = torch.randn(7, 3), torch.randn(7, 3)
CLASSES = torch.tensor([0, 1, 2, 0, 1, 1, 0])
HARD = functional.one_hot(CLASSES, 3).float()
YES = (torch.randn(7, 3) > 0.3).float()


def weights() -> ClassWeights:
    return ClassWeights(CLASSES.numpy(), YES.numpy())


def loss_of(objective: Objective, *others: tuple[Tensor, Tensor]) -> Tensor:
    calls = iter([(STANCE, SIGNALS), *others])
    return objective(lambda: next(calls), HARD, YES).total


def test_plain_loss_is_torchs() -> None:
    expected = functional.cross_entropy(STANCE, CLASSES) + 3 * functional.binary_cross_entropy_with_logits(
        SIGNALS, YES
    )
    assert loss_of(Objective(signal_loss_weight=3)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_unknown_signals_teach_nothing() -> None:
    unknown = YES.clone()
    unknown[2:] = torch.nan
    logits = SIGNALS.clone().requires_grad_()
    loss = Objective(label_smoothing=0.1).signal_loss(logits, unknown)
    assert loss.item() == pytest.approx(
        Objective(label_smoothing=0.1).signal_loss(SIGNALS[:2], YES[:2]).item()
    )
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[2:].any()
    assert logits.grad[:2].all()


def test_no_known_signal_is_no_loss() -> None:
    assert Objective().signal_loss(SIGNALS, torch.full((7, 3), torch.nan)).item() == 0


def test_unknown_signals_do_not_move_the_class_weights() -> None:
    signals = YES.numpy().copy()
    signals[5:] = np.nan
    expected = ClassWeights(CLASSES.numpy()[:5], YES.numpy()[:5]).signals
    assert torch.equal(ClassWeights(CLASSES.numpy(), signals).signals, expected)


def test_weighted_loss_is_torchs() -> None:
    w = weights()
    expected = functional.cross_entropy(STANCE, CLASSES, weight=w.stance)
    expected = expected + functional.binary_cross_entropy_with_logits(SIGNALS, YES, pos_weight=w.signals)
    assert loss_of(Objective(w)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_label_smoothing_is_torchs() -> None:
    expected = functional.cross_entropy(STANCE, CLASSES, label_smoothing=0.1)
    expected = expected + functional.binary_cross_entropy_with_logits(SIGNALS, YES * 0.9 + 0.05)
    assert loss_of(Objective(label_smoothing=0.1)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_focal_loss_weighs_each_sentence_by_what_is_missing() -> None:
    p = functional.softmax(STANCE, dim=1).gather(1, CLASSES[:, None])[:, 0]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    found = Objective(focal_gamma=2).stance_loss(STANCE, HARD)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    q = torch.where(YES == 1, torch.sigmoid(SIGNALS), torch.sigmoid(-SIGNALS))
    expected = (-((1 - q) ** 2) * q.log()).mean()
    assert Objective(focal_gamma=2).signal_loss(SIGNALS, YES).item() == pytest.approx(
        expected.item(), rel=1e-4
    )


def test_r_drop_adds_how_far_two_passes_are_apart() -> None:
    plain = loss_of(Objective())
    assert loss_of(Objective(r_drop=4), (STANCE, SIGNALS)).item() == pytest.approx(plain.item(), rel=1e-5)
    other = (STANCE + torch.randn(7, 3), SIGNALS)
    parted = loss_of(Objective(r_drop=4), other)
    both = (plain + loss_of(Objective(), other)) / 2
    again = functional.cross_entropy(other[0], CLASSES)
    both = (functional.cross_entropy(STANCE, CLASSES) + again) / 2
    both = both + functional.binary_cross_entropy_with_logits(SIGNALS, YES)
    expected = both + 4 * stance_divergence(STANCE, other[0])
    assert parted.item() == pytest.approx(expected.item(), rel=1e-5)


def test_divergences_are_the_symmetric_kullback_leibler_ones() -> None:
    one, other = torch.randn(5, 3), torch.randn(5, 3)
    p, q = functional.log_softmax(one, 1), functional.log_softmax(other, 1)
    there = functional.kl_div(q, p, log_target=True, reduction="batchmean")
    back = functional.kl_div(p, q, log_target=True, reduction="batchmean")
    assert stance_divergence(one, other).item() == pytest.approx((there + back).item() / 2, rel=1e-4)
    a, b = torch.sigmoid(one), torch.sigmoid(other)
    kl = a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()
    kl = kl + b * (b / a).log() + (1 - b) * ((1 - b) / (1 - a)).log()
    assert signal_divergence(one, other).item() == pytest.approx(kl.mean().item() / 2, rel=1e-3)


def test_a_teachers_word_is_a_target() -> None:
    soft = functional.softmax(torch.randn(7, 3), dim=1)
    expected = functional.cross_entropy(STANCE, soft)
    assert Objective().stance_loss(STANCE, soft).item() == pytest.approx(expected.item(), rel=1e-5)


def test_contrastive_loss_by_hand() -> None:
    vectors = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    # The first two are of one class, at cosine 1; the third has no partner and counts only as a contrast.
    found = contrastive_loss(vectors, torch.tensor([0, 0, 1]), temperature=1.0)
    e = torch.tensor(1.0).exp()
    assert found.item() == pytest.approx(-(e / (e + 1)).log().item(), rel=1e-5)


def test_contrastive_loss_without_partners_is_nothing_and_has_a_gradient() -> None:
    vectors = torch.randn(3, 4, requires_grad=True)
    loss = contrastive_loss(vectors, torch.tensor([0, 1, 2]))
    loss.backward()
    assert loss.item() == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()
