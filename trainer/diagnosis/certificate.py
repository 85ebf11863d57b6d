"""certificate.json: the figures of a diagnosis, and which model they are of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.errors import InvalidConfig
from trainer.network import Network

CERTIFICATE: Final = "certificate.json"
FORMAT: Final = 1
MAX_BYTES: Final = 2**20

Certificate = Mapping[str, Any]


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Writes the file for people too: one line a list of numbers."""
    text = json.dumps({"format": FORMAT, **certificate}, indent=1, allow_nan=False)
    # Strings hold no line break: JSON writes it as two characters.
    text = re.sub(r"\[\n([^\[\]{}]*)\n *\]", _one_line, text)
    path.write_text(text + "\n", encoding="utf-8")


def _one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\n *", " ", found[1]).strip() + "]"


def read_certificate(path: Path) -> dict[str, Any]:
    """The inverse of `write_certificate`. Raises `InvalidConfig` for anything that is no certificate."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidConfig(f"certificate {path}: more than {MAX_BYTES} bytes")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidConfig(f"certificate {path}: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InvalidConfig(f"certificate {path}: not one that `tengen diagnose` of this version wrote")
    if not isinstance(data.get("model"), dict) or not isinstance(data.get("drift"), dict):
        raise InvalidConfig(f"certificate {path}: it names no model or holds no figures")
    return data


def weights_digest(network: Network) -> str:
    """64 hexadecimal digits that identify the weights of a network, wherever they are kept."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy(), dtype="<f4").tobytes())
    return digest.hexdigest()


def check_identity(certificate: Certificate, *, weights_sha256: str | None, digest: str) -> None:
    """Raises `InvalidConfig` unless the certificate is of the model with these weights, or of these ONNX files.

    `weights_sha256`: None where the files are not what a diagnosis of the weights sees, as in a quantised form.
    """
    model = certificate["model"]
    if digest != model.get("digest") and (weights_sha256 is None or weights_sha256 != model.get("weights_sha256")):
        found = model.get("weights_sha256") or model.get("digest") or "unknown"
        kind = "checkpoint" if weights_sha256 else "model folder"
        raise InvalidConfig(
            f"the certificate is of another model ({str(found)[:12]}, step {model.get('step')}), not of the one "
            f"exported ({(weights_sha256 or digest)[:12]}): run `tengen diagnose` on the {kind} that is exported"
        )
