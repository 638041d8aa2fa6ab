#!/usr/bin/env python3
"""Compares the built-in catalogue with public sets of prices, and rebuilds it from them.

It has two layers: src/catalog/models.json, whose facts are kept by hand, and over two thousand further models with what
the sets say of them, in src/catalog/public (the rules of that layer are at the top of `public.py`).

    pip download --no-deps --dest sets -r requirements.txt     # nothing of the packages is run
    catalogue.py sets --check     print what the sets say otherwise; exit 1 if a rebuild would change the
                                  catalogue, or a provider's live models are covered less than promised
    catalogue.py sets --write     rebuild it; review the difference before committing it

The rules, in one place:

- Prices come from genai-prices where it knows the model (it has dates, tiers, services and hours), else from litellm,
  else they stay as they are. What genai-prices does not say of the price in force now (flex, priority, batch) is taken
  from litellm where the two agree on its standard rates.
- A price entry whose `source` is neither of them was looked up by hand. It is kept as it is, and so is all of a model
  with `"pinned": "why"`; both are still compared, so that the reason is read again at every rebuild.
- Names, kind, context window, output, capabilities and status are facts of the catalogue and survive a rebuild;
  `--check` reports where the sets say otherwise. Names and a retirement date that only the sets know are added.
- A date on which a *service* was first verified is not a change of price: the service holds for the whole entry. Only
  dates of standard prices begin a new one.
- `above N tokens` becomes `from_input_tokens: N + 1`.
- Here a cache write is charged *instead of* input. A set that gives it less than input means a charge for storage *on
  top of* input (OpenRouter's documentation of Gemini says so; DeepSeek's 0 is the same): the two are added.
- A model that makes pictures is priced as if all its output were pictures, and its thinking as text.
- Fees for searches are taken where the provider's responses count them; Perplexity's for a request, which depends on how
  much of the web it draws on, are litellm's.
- What only the catalogue knows of a price survives for as long as its plain input and output rates do.
- What responses do not count (minutes, searches of most providers) is listed under `not_costed`.

Amounts are decimal numbers from end to end; no float is involved.
"""

import argparse
import datetime
import json
import pathlib
import sys

import public
from coverage import coverage, report
from rules import differences, document, fill, in_force, not_costed, parse, spelled, tidy
from sets import genai_model, genai_prices, litellm_model, litellm_price, read_genai, read_litellm

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "src/catalog/models.json"
PUBLIC = ROOT / "src/catalog/public"
FACTS = ("id", "kind", "aliases", "context_window", "max_input", "max_output", "can", "status", "retires_on")


def rebuilt(model, sets, today):
    """The model as the rules make it from the sets, and what each set says of the price in force today."""
    provider, name = model["id"].split("/", 1)
    genai = genai_model(sets["genai-prices"], provider, name)
    litellm = litellm_model(sets["litellm"], provider, name)
    by_genai = [tidy(model["kind"], entry) for entry in (genai_prices(provider, genai) if genai else [])]
    by_litellm = litellm_price(litellm) if litellm else None
    by_litellm = tidy(model["kind"], by_litellm) if by_litellm else None
    old, by_hand = model["prices"], {price["source"] for price in model["prices"]} - {"genai-prices", "litellm"}
    if "pinned" in model or by_hand or not (by_genai or by_litellm):
        prices = old
    else:
        prices = [{"source": "genai-prices", **entry} for entry in by_genai] or [{"source": "litellm", **by_litellm}]
        current = in_force(prices, today)
        for other in filter(None, (by_litellm, in_force(old, today))):
            fill(current, other)
        prices = [tidy(model["kind"], entry) for entry in prices]
    current = in_force(prices, today)
    said = {"genai-prices": in_force(by_genai, today), "litellm": by_litellm}
    said = {name: entry for name, entry in said.items() if entry and current}
    compared = {name: ", ".join(differences(current, entry)) or "agrees" for name, entry in said.items()}
    also = not_costed(provider, model["kind"], genai, litellm)
    if litellm and litellm.get("deprecation_date"):
        model = {"retires_on": litellm["deprecation_date"], **model}
    facts = {key: model[key] for key in FACTS if key in model}
    if also:
        facts["not_costed"] = also
    if "pinned" in model:
        facts["pinned"] = model["pinned"]
    if compared:
        facts["compared"] = compared
    return {**facts, "prices": prices}, genai, litellm


def in_order(model):
    """The model with its facts in the order of the file."""
    facts = {key: model[key] for key in FACTS if key in model}
    return {**facts, **{key: value for key, value in model.items() if key not in FACTS}}


def facts_that_differ(model, genai, litellm):
    """What the sets say otherwise of a model itself."""
    found = []
    for key, theirs in (("max_input_tokens", ("max_input", "context_window")), ("max_output_tokens", ("max_output",))):
        value = (litellm or {}).get(key)
        ours = {model.get(name) for name in theirs}
        if isinstance(value, int) and value not in ours:
            found.append(f"litellm: {key} {value}, here {sorted(filter(None, ours))}")
    if genai and genai.get("context_window") and genai.context_window != model.get("context_window"):
        found.append(f"genai-prices: context_window {genai.context_window}, here {model.get('context_window')}")
    if litellm and litellm.get("deprecation_date") and litellm["deprecation_date"] != model.get("retires_on"):
        found.append(f"litellm: deprecation_date {litellm['deprecation_date']}, here {model.get('retires_on')}")
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sets", type=pathlib.Path, help="the folder of the downloaded packages")
    what = options.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="print what differs")
    what.add_argument("--write", action="store_true", help="rebuild the catalogue")
    today = datetime.date.today().isoformat()
    options.add_argument("--today", default=today, metavar="YYYY-MM-DD", help="when the sets were looked up")
    asked = options.parse_args()

    wheel = lambda name: next(asked.sets.glob(f"{name.replace('-', '_')}-*.whl"))
    readers = {"genai-prices": read_genai, "litellm": read_litellm}
    sets = {name: read(wheel(name)) for name, read in readers.items()}
    versions = {name: wheel(name).name.split("-")[1] for name in readers}

    before = CATALOGUE.read_text()
    catalogue = parse(before)
    if asked.check:
        asked.today = catalogue["as_of"]
    changed, models, everything = 0, [], []
    for model in catalogue["models"]:
        new, genai, litellm = rebuilt(model, sets, asked.today)
        models.append(new)
        for name, said in new.get("compared", {}).items():
            if said != "agrees":
                pinned = f" [pinned: {model['pinned']}]" if "pinned" in model else ""
                print(f"{model['id']}: {name} says {said}{pinned}")
        for line in facts_that_differ(model, genai, litellm):
            print(f"{model['id']}: {line}")
        if not genai and not litellm:
            print(f"{model['id']}: in neither set")
        if spelled(new) != spelled(model):
            changed += 1
            print(f"{model['id']}: a rebuild changes this model")
    sources = {**catalogue["sources"], **versions}
    head = {key: catalogue[key] for key in ("format", "version")} | {"as_of": asked.today}
    files = {}
    for provider in public.LITELLM:
        kept = [model for model in models if model["id"].startswith(f"{provider}/")]
        layer, further = public.layer(provider, kept, sets, asked.today)
        everything += layer
        files[PUBLIC / f"{provider}.json"] = document({**head, "sources": versions, "models": layer})
        for model in kept:
            if names := further[model["id"]]:
                changed += 1
                print(f"{model['id']}: further names {', '.join(names)}")
                model["aliases"] = [*model.get("aliases", ()), *names]
        print(f"{provider}: {len(layer)} models in the public layer")
    files[CATALOGUE] = document({**head, "sources": sources, "models": [in_order(model) for model in models]})
    stale = set(PUBLIC.glob("*.json")) - files.keys()
    differing = [path for path, text in files.items() if not path.exists() or path.read_text() != text] + sorted(stale)
    for path in differing:
        print(f"{path.relative_to(ROOT)}: a rebuild changes this file")
    print(f"{len(models)} models, {changed} that a rebuild changes")
    is_covered = report(*coverage([*models, *everything], sets, asked.today))
    if asked.write:
        PUBLIC.mkdir(exist_ok=True)
        for path, text in files.items():
            path.write_text(text)
        for path in stale:
            path.unlink()
    return 1 if asked.check and (differing or not is_covered) else 0


if __name__ == "__main__":
    sys.exit(main())
