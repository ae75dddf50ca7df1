"""How fast the device multiplies: measured once, for a moment, and only where it can be."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route

from .chat import ID as CHAT
from .visit import Visit
from .weighing import WEIGH, reasons

pytestmark = pytest.mark.probe

MIB = 2**20


def test_the_device_is_measured_once(visit: Visit, isolated_site: str) -> None:
    visit.open_blank(isolated_site)
    probe = """
      const { probe } = await import(new URL('../js/probe.js', location.href));
      return await probe();
    """
    first = visit.run_module(probe)
    assert first["threads"] == visit.page.evaluate("navigator.hardwareConcurrency")
    assert all(first[rate] > 1e8 for rate in ("compute", "float32", "int8"))
    visit.requests.clear()
    visit.page.reload()
    assert visit.run_module(probe) == first
    assert not any("probe" in path and path.endswith(".wasm") for path in visit.bytes_by_path())


WORKER = """
  window.asked = [];
  window.Worker = class {
    terminate() {}
    postMessage({ rate }) {
      if (rate) window.asked.push(rate);
      const after = rate ? 10 : PREPARING;
      setTimeout(() => this.onmessage({ data: { amount: 1e8, seconds: SECONDS } }), after);
    }
  };
  Object.defineProperty(navigator, 'hardwareConcurrency', { value: 1 });
"""
PROBE = """
  const { probe } = await import(new URL('../js/probe.js', location.href));
  return { rates: await probe(), asked: window.asked };
"""
TURN = ["compute", "float32", "int8"]


@pytest.mark.parametrize("seconds", [0.01, 0])
def test_rates_are_measured_in_turns_and_not_by_a_clock_that_is_too_coarse(
    page: Page, isolated_site: str, seconds: float
) -> None:
    page.add_init_script(WORKER.replace("PREPARING", "10").replace("SECONDS", str(seconds)))
    visit = Visit(page)
    visit.open_blank(isolated_site)
    found = visit.run_module(PROBE)
    assert len(found["asked"]) >= 3 * len(TURN)
    assert found["asked"] == TURN * (len(found["asked"]) // len(TURN))
    assert found["rates"] == (dict.fromkeys(TURN, 1e10) | {"threads": 1} if seconds else None)


def test_where_starting_takes_long_the_fewest_turns_are_measured(
    page: Page, isolated_site: str
) -> None:
    page.add_init_script(WORKER.replace("PREPARING", "500").replace("SECONDS", "0.01"))
    visit = Visit(page)
    visit.open_blank(isolated_site)
    assert visit.run_module(PROBE)["asked"] == 3 * TURN


SLOW_CLOCK = "{ let now = 0; performance.now = () => (now += 1000); }"
"""Before the probe's worker: a second goes by from each look at the clock to the next."""

SHARE = """
  const module = await WebAssembly.compileStreaming(
    fetch(new URL('../vendor/probe/probe.wasm', location.href)));
  const worker = new Worker(new URL('../worker/probe_worker.js', location.href), { type: 'module' });
  const ask = (question) => new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage(question);
  });
  const share = await ask({ module, fewestBytes: argument.fewest, mostBytes: argument.most });
  const amounts = {};
  for (const rate of ['compute', 'float32', 'int8'])
    amounts[rate] = (await ask({ rate, share })).amount;
  worker.terminate();
  return { share, amounts };
"""


@pytest.mark.parametrize(("fewest", "share"), [(4 * MIB, 0.25), (16 * MIB, 1)])
def test_a_slow_device_is_measured_by_less_and_not_for_longer(
    page: Page, isolated_site: str, fewest: int, share: float
) -> None:
    def slow(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=SLOW_CLOCK + response.text())

    page.route("**/worker/probe_worker.js", slow)
    visit = Visit(page)
    visit.open_blank(isolated_site)
    most = 16 * MIB
    found = visit.run_module(SHARE, {"fewest": fewest, "most": most})
    assert found["share"] == share
    assert found["amounts"]["float32"] == found["amounts"]["int8"] == most * share
    whole = 10_000 * 12 * 2048 / 4  # multiply-adds
    assert found["amounts"]["compute"] == whole * share


@pytest.mark.parametrize(
    ("memory", "phone", "cores", "fewest", "most"),
    [
        ("8", "false", 2, 8 * MIB, 64 * MIB),
        ("8", "undefined", 8, 6 * MIB, 16 * MIB),
        ("8", "true", 2, 6 * MIB, 6 * MIB),
        ("2", "false", 2, 6 * MIB, 6 * MIB),
        ("undefined", "undefined", 2, 6 * MIB, 6 * MIB),
    ],
)
def test_a_phone_is_not_made_to_find_out_how_much_memory_it_has(
    page: Page, isolated_site: str, memory: str, phone: str, cores: int, fewest: int, most: int
) -> None:
    page.add_init_script(
        f"""window.prepared = [];
        window.Worker = class {{
          terminate() {{}}
          postMessage({{ rate, fewestBytes, mostBytes }}) {{
            if (!rate) window.prepared.push([fewestBytes, mostBytes]);
            const data = rate ? {{ amount: 1e8, seconds: 0.01 }} : 1;
            setTimeout(() => this.onmessage({{ data }}), 10);
          }}
        }};
        const told = {{
          deviceMemory: {memory}, userAgentData: {{ mobile: {phone} }}, hardwareConcurrency: {cores},
        }};
        for (const [name, value] of Object.entries(told))
          Object.defineProperty(navigator, name, {{ value }});"""
    )
    visit = Visit(page)
    visit.open_blank(isolated_site)
    prepared = visit.run_module(
        """const { probe } = await import(new URL('../js/probe.js', location.href));
        return { rates: await probe(), prepared: window.prepared };"""
    )
    assert prepared["rates"]["threads"] == cores
    assert prepared["prepared"] == [[fewest, most]] * cores


def test_a_gpu_is_measured_too_and_once(visit: Visit, isolated_site: str) -> None:
    """SwiftShader is one, if a slow one, which `auto` would not choose."""
    visit.open_blank(isolated_site)
    measure = """
      const { probeGpu } = await import(new URL('../js/probe.js', location.href));
      return await probeGpu(argument);
    """
    first = visit.run_module(measure, "SwiftShader")
    assert all(first[rate] > 1e6 for rate in ("compute", "float32", "blocks"))
    assert 0 <= first["dispatch"] < first["turn"] < 1
    verdict = visit.run_module(WEIGH, {"id": CHAT, "device": "webgpu"})
    assert (verdict["device"], verdict["basis"]) == ("webgpu", "probe")
    speed = verdict["tokens_per_second"]
    assert 0 < speed["low"] < speed["value"] < speed["high"]
    visit.page.reload()
    assert visit.run_module(measure, "SwiftShader") == first
    visit.expect_clean(isolated_site)


def test_no_simd_and_no_workers_leave_the_speed_unknown(page: Page, isolated_site: str) -> None:
    page.add_init_script(
        "Object.defineProperty(navigator, 'deviceMemory', { value: undefined });"
        "WebAssembly.validate = () => false;"
        "window.Worker = class { constructor() { throw new Error('none'); } };"
    )
    visit = Visit(page)
    visit.open_blank(isolated_site)
    verdict = visit.run_module(WEIGH, {"id": "minilm-l6", "device": "wasm"})
    assert verdict["verdict"] == "no"
    assert set(reasons(verdict)) >= {"no_simd", "speed_unknown"}
    assert verdict["seconds"]["first_token"] is None
    assert verdict["confidence"] == "low"
