"""Planning: order, reasons for exclusion, cooling targets, origins of reasoning state."""

from __future__ import annotations

from services.dialects.registry import speech
from services.router.domain.catalog import AliasCard, ModelCard, Provider, Snapshot, Target
from services.router.domain.health import Health
from services.router.domain.plan import Needs, Plan, Why, make

A, B, C = Target("a", "x"), Target("b", "y"), Target("c", "z")

SNAPSHOT = Snapshot(
    revision=1,
    providers={
        "a": Provider("a", "openai", speech("openai")),
        "b": Provider("b", "anthropic", speech("anthropic")),
        "c": Provider("c", "openai", speech("openai"), missing=("C_KEY is not set",)),
    },
    models={
        "a/x": ModelCard("a", "x", capabilities=frozenset({"chat"}), input_modalities=frozenset({"text"})),
        "b/y": ModelCard("b", "y", capabilities=frozenset({"chat", "tools"}), context_tokens=100),
    },
    aliases={"m": AliasCard("m", (A, B, C))},
)


def plan(
    name: str = "m",
    needs: Needs | None = None,
    denied: tuple[str, ...] = (),
    cooling: dict[Target, float] | None = None,
) -> Plan:
    alias = SNAPSHOT.resolve(name)
    assert alias is not None
    return make(
        SNAPSHOT,
        alias,
        needs or Needs(),
        lambda wanted: wanted not in denied,
        lambda target: (cooling or {}).get(target, 0.0),
    )


def reasons(made: Plan) -> dict[str, set[Why]]:
    return {entry.target.provider: {why for why, _ in entry.exclusions} for entry in made.considered}


def test_targets_keep_their_order_and_the_unconfigured_are_left_out_with_a_reason() -> None:
    made = plan()
    assert made.targets == (A, B)
    assert reasons(made) == {"a": set(), "b": set(), "c": {Why.NOT_CONFIGURED}}


def test_what_a_model_lacks_excludes_it_and_what_is_unknown_does_not() -> None:
    needs = Needs(capabilities=frozenset({"tools"}), input_modalities=frozenset({"image"}))
    made = plan(needs=needs)
    assert made.targets == (B,)
    assert reasons(made)["a"] == {Why.CAPABILITY}


def test_what_can_only_be_relayed_goes_to_those_who_take_it_even_when_named() -> None:
    assert plan(needs=Needs(operation="moderate")).targets == (A,)
    named = plan("b/y", Needs(operation="rerank"))
    assert not named.targets
    assert reasons(named) == {"b": {Why.OPERATION}}


def test_a_prompt_that_does_not_fit_excludes() -> None:
    assert reasons(plan(needs=Needs(input_tokens=101)))["b"] == {Why.CONTEXT}


def test_an_operation_a_model_does_not_do_excludes_it() -> None:
    assert reasons(plan(needs=Needs(operation="embed")))["a"] == {Why.OPERATION}


def test_a_named_model_is_not_second_guessed() -> None:
    needs = Needs(
        capabilities=frozenset({"tools"}), input_modalities=frozenset({"image"}), input_tokens=10**9
    )
    assert plan("a/x", needs).targets == (A,)


def test_cooling_targets_come_last_soonest_first() -> None:
    made = plan(cooling={A: 9.0})
    assert made.targets == (B, A)
    assert reasons(made)["a"] == {Why.COOLING_DOWN}
    assert plan(cooling={A: 9.0, B: 3.0}).targets == (B, A)


def test_the_origin_of_reasoning_state_goes_first() -> None:
    assert plan(needs=Needs(state_origins=frozenset({"b"}))).targets == (B, A)


def test_a_key_may_use_a_target_by_its_alias_or_by_its_name() -> None:
    assert plan(denied=("m",)).targets == (A, B)
    assert plan(denied=("m", "a/x")).targets == (B,)


def test_names_resolve_to_aliases_or_known_providers() -> None:
    assert SNAPSHOT.resolve("nope") is None
    assert SNAPSHOT.resolve("nope/x") is None
    assert SNAPSHOT.resolve("a/") is None
    direct = SNAPSHOT.resolve("a/org/model")
    assert direct is not None
    assert direct.targets == (Target("a", "org/model"),)


def test_a_target_cools_down_after_failures_in_a_row_and_longer_each_time() -> None:
    health = Health(failures=2, cool_down=10, max_cool_down=15)
    health.failed(A, 0)
    assert health.wait(A, 0) == 0
    health.failed(A, 0)
    assert health.wait(A, 0) == 10
    assert health.wait(A, 10) == 0
    health.failed(A, 10)
    health.failed(A, 10)
    assert health.wait(A, 10) == 15
    health.succeeded(A)
    assert health.wait(A, 10) == 0


def test_the_providers_word_on_waiting_counts_at_once_within_bounds() -> None:
    health = Health(failures=5, cool_down=10, max_cool_down=60)
    health.failed(A, 0, retry_after=7)
    assert health.wait(A, 2) == 5
    health.failed(A, 0, retry_after=10_000)
    assert health.wait(A, 0) == 60
    assert health.any_cooling("a", 0)
    assert not health.any_cooling("b", 0)
    health.keep(frozenset({"b"}))
    assert health.wait(A, 0) == 0
