"""The manifests against the schemas of Kubernetes, against each other, and against what a server really says."""

from __future__ import annotations

import copy

import kubernetes_validate
import pytest

from .manifests import DEPLOY, Object, container_of, object_of, objects

# What the files are written for, and the newest whose schemas are at hand. `sleep` in preStop needs the first.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
DEPLOYMENT, RUNTIME = "kubernetes/offbeat.yaml", "kserve/serving-runtime.yaml"


def check(manifest: Object, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", objects(DEPLOYMENT), ids=lambda each: each["kind"])
def test_kubernetes_accepts_every_object_and_no_misspelt_one(manifest: Object, version: str) -> None:
    check(manifest, version)
    misspelt = copy.deepcopy(manifest)
    misspelt["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        check(misspelt, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_container_of_the_serving_runtime_is_one_of_a_pod(version: str) -> None:
    runtime = object_of(RUNTIME, "ServingRuntime")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [container_of(RUNTIME)]},
    }
    check(pod, version)
    assert container_of(RUNTIME)["name"] == "kserve-container"
    assert runtime["spec"]["protocolVersions"] == ["grpc-v2"]


def test_the_inference_service_asks_for_what_the_runtime_offers() -> None:
    runtime = object_of(RUNTIME, "ServingRuntime")
    service = object_of("kserve/inference-service.yaml", "InferenceService")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    (offered,) = runtime["spec"]["supportedModelFormats"]
    assert model["modelFormat"].items() <= offered.items()


def test_both_ways_read_the_same_folder_of_the_same_volume() -> None:
    service = object_of("kserve/inference-service.yaml", "InferenceService")
    pod = object_of(DEPLOYMENT, "Deployment")["spec"]["template"]["spec"]
    (volume,), (mounted,) = pod["volumes"], container_of(DEPLOYMENT)["volumeMounts"]
    claim = volume["persistentVolumeClaim"]["claimName"]
    assert service["spec"]["predictor"]["model"]["storageUri"] == f"pvc://{claim}/{mounted['subPath']}"
    assert (mounted["name"], mounted["mountPath"]) == (volume["name"], container_of(RUNTIME)["args"][1])


@pytest.mark.parametrize("path", [DEPLOYMENT, RUNTIME])
def test_a_container_may_nothing_and_is_given_time_to_drain(path: str) -> None:
    container = container_of(path)
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    if path == DEPLOYMENT:
        pod = object_of(path, "Deployment")["spec"]["template"]["spec"]
        context, pause_s = pod["securityContext"], container["lifecycle"]["preStop"]["sleep"]["seconds"]
        grace_s = float(next(each["value"] for each in container["env"] if each["name"] == "OFFBEAT_GRACE_S"))
    else:
        pod, pause_s = object_of("kserve/inference-service.yaml", "InferenceService")["spec"]["predictor"], 0
        grace_s = float(next(each for each in container["args"] if each.startswith("--grace-s=")).split("=")[1])
    assert context["runAsNonRoot"]
    assert context["runAsUser"] == context["runAsGroup"] == 10001
    assert pod["terminationGracePeriodSeconds"] > grace_s + pause_s


@pytest.mark.parametrize("path", [DEPLOYMENT, RUNTIME])
def test_what_waits_for_one_model_and_its_series_fit_into_the_limit(path: str) -> None:
    container = container_of(path)
    given = {each["name"].removeprefix("OFFBEAT_").lower(): each["value"] for each in container.get("env", ())}
    given |= dict(each.removeprefix("--").replace("-", "_").split("=") for each in container["args"] if "=" in each)
    queue_bytes = int(given["max_message_bytes"]) * int(given["max_queue_size"])
    limit = container["resources"]["limits"]["memory"]
    assert limit == "1Gi"
    assert queue_bytes + int(given["max_series_bytes"]) <= 0.65 * 2**30


def test_the_service_the_autoscaler_and_the_budget_mean_the_deployment() -> None:
    deployment, service = object_of(DEPLOYMENT, "Deployment"), object_of(DEPLOYMENT, "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in container_of(DEPLOYMENT)["ports"]}
    assert service["spec"]["selector"].items() <= labels.items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert object_of(DEPLOYMENT, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    scaled = object_of(DEPLOYMENT, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", deployment["metadata"]["name"])


def test_the_autoscalers_metric_is_the_one_the_adapter_makes() -> None:
    (metric,) = object_of(DEPLOYMENT, "HorizontalPodAutoscaler")["spec"]["metrics"]
    (rule,) = objects("kubernetes/prometheus-adapter.yaml")[0]["rules"]["custom"]
    name = metric["pods"]["metric"]["name"]
    assert rule["name"]["as"] == name
    assert rule["seriesQuery"].startswith(f"{name}{{")
    assert f"({name}{{<<.LabelMatchers>>}}" in rule["metricsQuery"]


def test_every_manifest_is_read_by_a_test() -> None:
    found = {str(path.relative_to(DEPLOY)) for room in ("kserve", "kubernetes") for path in (DEPLOY / room).iterdir()}
    read = {DEPLOYMENT, RUNTIME, "kserve/inference-service.yaml", "kubernetes/prometheus-adapter.yaml"}
    assert found == read
