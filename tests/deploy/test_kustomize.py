"""The Kubernetes manifests render, fit their schemas, and confine what they start."""

import re
from functools import lru_cache
from pathlib import Path

import kubernetes_validate
import pytest
from support import manifests
from support.manifests import BASE, DEMO, ROOT, Manifest

from backbone.configuration import load_configuration
from backbone.settings import DEFAULT_PORTS, Settings

KUBERNETES_VERSIONS = ("1.30", "1.33")
SERVICES = ("ingest", "mapper", "exact-writer", "payment-matcher", "console")
FOLDERS = [pytest.param(BASE, id="base"), pytest.param(DEMO, id="demo")]
HASH = re.compile(r"-[a-z0-9]{10}$")


@lru_cache
def rendered(folder: Path) -> list[Manifest]:
    return manifests.render_with_kubectl(folder) if manifests.kubectl() else manifests.render(folder)


def selected(policy: Manifest) -> set[str] | None:
    """Which pods a policy selects: the names in its selector, or None for all."""
    selector = policy["spec"]["podSelector"]
    names = [*selector.get("matchLabels", {}).values()]
    for expression in selector.get("matchExpressions", ()):
        names += expression["values"]
    return set(names) or None


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_manifest_fits_the_strict_schema_of_kubernetes(folder, version):
    for manifest in rendered(folder):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.skipif(manifests.kubectl() is None, reason="kubectl is not on PATH; the renderer in tests/support stands in for it")
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_renderer_of_the_tests_agrees_with_kubectl(folder):
    def names(found: list[Manifest]) -> list[tuple[str, str]]:
        return sorted((each["kind"], HASH.sub("", each["metadata"]["name"])) for each in found)

    ours, theirs = manifests.render(folder), manifests.render_with_kubectl(folder)
    assert names(ours) == names(theirs)
    assert sorted(each["image"] for each in manifests.containers(ours)) == sorted(
        each["image"] for each in manifests.containers(theirs)
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_pod_is_as_restricted_as_pod_security_asks(folder):
    for name, pod in manifests.pods(rendered(folder)).items():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert not pod.get("hostNetwork"), name
        assert all("hostPath" not in volume for volume in pod.get("volumes", ())), name
        for container in pod["containers"]:
            confined = container["securityContext"]
            assert confined["allowPrivilegeEscalation"] is False, name
            assert confined["readOnlyRootFilesystem"] is True, name
            assert confined["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
            assert ":" in container["image"], f"{name}: an image without a tag is a different one every day"
            assert not container["image"].endswith(":latest"), name


def test_every_service_is_probed_on_its_own_port_and_can_be_moved():
    base = rendered(BASE)
    budgets, services, accounts = (manifests.of_kind(base, kind) for kind in ("PodDisruptionBudget", "Service", "ServiceAccount"))
    for name in SERVICES:
        pod = manifests.pods(base)[name]
        container = pod["containers"][0]
        assert container["ports"] == [{"name": "http", "containerPort": DEFAULT_PORTS[name]}]
        assert container["livenessProbe"]["httpGet"] == {"path": "/live", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
        assert services[name]["spec"]["ports"][0]["port"] == DEFAULT_PORTS[name]
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        assert accounts[pod["serviceAccountName"]]["automountServiceAccountToken"] is False
        assert pod["terminationGracePeriodSeconds"] > Settings.model_fields["drain_seconds"].default


def test_a_second_writer_takes_over_from_the_first_but_never_one_of_another_release_beside_it():
    writer = manifests.of_kind(rendered(BASE), "Deployment")["exact-writer"]["spec"]
    assert (writer["replicas"], writer["strategy"]) == (2, {"type": "Recreate"})


def test_the_consent_reaches_a_writer_that_is_not_ready_without_it():
    assert manifests.of_kind(rendered(BASE), "Service")["exact-writer"]["spec"]["publishNotReadyAddresses"] is True


def test_nothing_is_reachable_unless_a_policy_says_so():
    policies = manifests.of_kind(rendered(BASE), "NetworkPolicy")
    everything = policies["deny-all"]["spec"]
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    to_the_internet = [
        policy
        for policy in policies.values()
        for rule in policy["spec"].get("egress", ())
        for to in rule["to"]
        if "ipBlock" in to
    ]
    assert [selected(policy) for policy in to_the_internet] == [{"ingest", "exact-writer", "payment-matcher", "tools"}]
    assert to_the_internet[0]["spec"]["egress"][0]["ports"] == [{"protocol": "TCP", "port": 443}]
    assert selected(policies["allow-postgres"]) == {*SERVICES, "tools", "migrate"}
    assert selected(policies["allow-rabbitmq"]) == {*SERVICES, "tools"}
    assert selected(policies["allow-ingress-to-ingest"]) == {"ingest"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_manifests_hold_no_secret_and_name_only_settings_that_exist(folder):
    known = {f"KRUISPOST_{name.upper()}" for name in Settings.model_fields}
    secret = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    for name in SERVICES:
        container = manifests.pods(rendered(folder))[name]["containers"][0]
        for variable in container["env"]:
            assert variable["name"] in known
            assert "secretKeyRef" in variable.get("valueFrom", {}), f"{name}: {variable['name']} has its value in the manifest"
    for configmap in manifests.of_kind(rendered(folder), "ConfigMap").values():
        names = {key for key in configmap["data"] if key.startswith("KRUISPOST_")}
        assert names <= known
        assert not names & {f"KRUISPOST_{each.upper()}" for each in secret}


def test_only_those_who_need_a_secret_get_it():
    holders: dict[str, set[str]] = {}
    addresses: dict[str, dict[str, str]] = {"KRUISPOST_DATABASE_URL": {}, "KRUISPOST_AMQP_URL": {}}
    pods = manifests.pods(rendered(BASE))
    for name, pod in ((name, pod) for name, pod in pods.items() if name != "tools"):
        for variable in pod["containers"][0]["env"]:
            holders.setdefault(variable["name"].removeprefix("KRUISPOST_"), set()).add(name)
            if variable["name"] in addresses:
                key = variable["valueFrom"]["secretKeyRef"]["key"].removeprefix(variable["name"])
                addresses[variable["name"]][name] = key
    assert addresses["KRUISPOST_DATABASE_URL"].pop("migrate") == ""
    for each in addresses.values():
        assert each == {name: f"_{name.replace('-', '_').upper()}" for name in SERVICES}
    assert holders["DATABASE_URL"] == {*SERVICES, "migrate"}
    assert holders["EXACT_CLIENT_SECRET"] == holders["ENCRYPTION_KEYS"] == {"exact-writer"}
    assert holders["WEBHOOK_PASSWORD"] == holders["EXACT_WEBHOOK_SECRET"] == {"ingest"}
    assert holders["CHARGEBEE_API_KEY"] == {"ingest", "payment-matcher"}
    assert holders["ADMIN_TOKEN"] == {"exact-writer", "console"}
    # Where people run commands, which is not there unless they want it, all of it is at hand.
    tools = {variable["name"].removeprefix("KRUISPOST_"): variable for variable in pods["tools"]["containers"][0]["env"]}
    assert tools.keys() - {"DATA_DIR"} == holders.keys()
    for name in addresses:
        assert tools[name.removeprefix("KRUISPOST_")]["valueFrom"]["secretKeyRef"]["key"] == f"{name}_OPERATOR"
    assert manifests.of_kind(rendered(BASE), "Deployment")["tools"]["spec"]["replicas"] == 0


def test_the_demo_brings_every_secret_and_the_configuration_of_the_demo(tmp_path):
    demo = manifests.render(DEMO)
    keys = manifests.of_kind(demo, "Secret")["kruispost-secrets"]["data"]
    for container in manifests.containers(demo):
        for variable in container.get("env", ()):
            if "valueFrom" in variable:
                assert variable["valueFrom"]["secretKeyRef"]["key"] in keys
    written = tmp_path / "kruispost.yaml"
    written.write_text(manifests.of_kind(demo, "ConfigMap")["kruispost-configuration"]["data"]["kruispost.yaml"])
    assert load_configuration(written).divisions
    rehearsed = ROOT / "console" / "src" / "console" / "demo_configuration.yaml"
    assert written.read_text() == rehearsed.read_text(), (
        "copy console's demo_configuration.yaml here; kustomize takes no file from outside"
    )
