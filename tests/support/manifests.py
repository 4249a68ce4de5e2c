"""Reads what is deployed: the Compose file, and the Kubernetes manifests as kustomize renders them."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy" / "k8s" / "base"
DEMO = ROOT / "deploy" / "k8s" / "overlays" / "demo"

Manifest = dict[str, Any]


def compose_file(path: Path = ROOT / "docker-compose.yml") -> dict[str, Any]:
    """Read a Compose file with its anchors resolved."""
    return dict(yaml.safe_load(path.read_text()))


def kubectl() -> str | None:
    """Find kubectl, which has kustomize built in."""
    return shutil.which("kubectl")


def render_with_kubectl(folder: Path) -> list[Manifest]:
    """Render as `kubectl apply -k` would."""
    done = subprocess.run([kubectl() or "kubectl", "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [dict(manifest) for manifest in yaml.safe_load_all(done.stdout)]


def render(folder: Path) -> list[Manifest]:
    """Render with what our kustomizations use: resources, images, namespace, generators (without the hash in their names)."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[Manifest] = []
    for resource in kustomization["resources"]:
        path = folder / resource
        found += (
            render(path.resolve()) if path.is_dir() else [dict(manifest) for manifest in yaml.safe_load_all(path.read_text())]
        )
    for kind in ("ConfigMap", "Secret"):
        for generator in kustomization.get(f"{kind[0].lower()}{kind[1:]}Generator", ()):
            _generate(kind, generator, folder, found)
    for image in kustomization.get("images", ()):
        for container in containers(found):
            if container["image"] == image["name"]:
                container["image"] = f"{image['name']}:{image['newTag']}"
    for manifest in found:
        if "namespace" in kustomization and manifest["kind"] != "Namespace":
            manifest["metadata"]["namespace"] = kustomization["namespace"]
    return found


def _generate(kind: str, generator: dict[str, Any], folder: Path, found: list[Manifest]) -> None:
    data = {Path(name).name: (folder / name).read_text() for name in generator.get("files", ())}
    for name in generator.get("envs", ()):
        data.update(read_env(folder / name))
    data.update(dict(literal.split("=", 1) for literal in generator.get("literals", ())))
    if kind == "Secret":
        data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    existing = [each for each in found if each["kind"] == kind and each["metadata"]["name"] == generator["name"]]
    if generator.get("behavior") == "merge":
        existing[0]["data"].update(data)
    elif generator.get("behavior") == "replace":
        existing[0]["data"] = data
    else:
        found.append({"apiVersion": "v1", "kind": kind, "metadata": {"name": generator["name"]}, "data": data})


def read_env(path: Path) -> dict[str, str]:
    """Read a file of NAME=value lines."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def pods(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    """Return the pod of each workload by the workload's name."""
    workloads = [each for each in manifests if each["kind"] in ("Deployment", "StatefulSet", "Job")]
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in workloads}


def containers(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """Return every container of every workload."""
    return [container for pod in pods(manifests).values() for container in pod["containers"]]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the manifests of one kind by name."""
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}
