"""A connection over SSH that breaks ends the lab or the command, and not the runs; a later connection finds them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import ssh_cut
from tests.faults.sshd import NoServerError

EPOCHS = 300  # long enough for the lab to come back while the runs train


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_cut.Remote]:
    try:
        with ssh_cut.remote(tmp_path_factory.mktemp("home")) as started:
            yield started
    except NoServerError as error:
        pytest.skip(str(error))


def test_runs_outlive_the_connection_of_the_lab(remote: ssh_cut.Remote) -> None:
    ssh_cut.cut_the_lab(remote, "client", EPOCHS)


def test_runs_outlive_the_connection_of_a_command(remote: ssh_cut.Remote) -> None:
    ssh_cut.cut_a_command(remote, "session", EPOCHS)
