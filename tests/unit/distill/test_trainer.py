"""Where to train: what is handed to Lightning, and what is refused before."""

import pytest
import torch
from training_samples import TRAIN, VALIDATION, short

from mlffd.distill.train import train_student
from mlffd.distill.trainer import Hardware
from mlffd.errors import InputError


def test_one_process_needs_no_strategy():
    assert Hardware().trainer_arguments() == {
        "accelerator": "cpu",
        "devices": 1,
        "strategy": "auto",
    }


def test_several_processes_start_the_program_once_each():
    assert Hardware(devices=2).trainer_arguments()["strategy"] == "ddp"


def test_another_strategy_is_passed_on():
    assert Hardware(devices=2, strategy="fsdp").trainer_arguments()["strategy"] == "fsdp"


def test_a_strategy_that_lightning_does_not_know_is_refused():
    pytest.importorskip("lightning.pytorch", reason="training needs Lightning")
    with pytest.raises(InputError, match=r"strategy 'nonsense': .*'nonsense'"):
        train_student(
            TRAIN,
            VALIDATION,
            size="ultra_tiny",
            recipe=short(),
            hardware=Hardware(strategy="nonsense"),
        )


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork", "ddp_notebook"])
def test_strategies_that_lose_what_was_learnt_are_refused(strategy):
    with pytest.raises(InputError, match="cannot give back what they learnt"):
        Hardware(devices=2, strategy=strategy).trainer_arguments()


def test_an_unknown_device_is_refused():
    with pytest.raises(InputError, match="device 'tpu': expected cpu or cuda"):
        Hardware(device="tpu").trainer_arguments()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_here_is_refused():
    with pytest.raises(InputError, match="'cuda' cannot be used here"):
        Hardware(device="cuda").trainer_arguments()
