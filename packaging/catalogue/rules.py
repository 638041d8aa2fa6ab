"""What the catalogue makes of prices: their rules, how two differ, and how a file of them is written.

The rules themselves are told at the top of `catalogue.py`.
"""

import json
from decimal import Decimal

from sets import COUNTS_SEARCHES, GENAI_RATES, MILLION, SERVICES, Node

RATES = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"),
    *("audio_input", "audio_cache_read", "image_input", "audio_output", "image_output", "citations"),
    *("characters", "searches", "requests"),
)
# Not by the token: the same in every service and tier, and part of the standard one's rates in the sets.
FEES = ("searches", "requests")


def tidied(kind, rates):
    """Rates by the rules above, in order, to nine decimal places."""
    rates = dict(rates)
    if kind in ("embedding", "rerank"):
        rates = {"input": rates["input"]}
    pictures = rates.pop("pictures", None)
    if pictures is not None:
        rates["image_output"] = pictures
        if kind == "image":
            rates["reasoning"], rates["output"] = rates["output"], pictures
    if rates.get("image_input") == rates["input"]:
        del rates["image_input"]
    for write in ("cache_write", "cache_write_1h"):
        if write in rates and rates[write] < rates["input"]:
            rates[write] += rates["input"]
        if rates.get(write) == rates["input"]:
            del rates[write]
    if rates.get("reasoning") == rates.get("output"):
        rates.pop("reasoning", None)
    nano = lambda amount: amount.quantize(Decimal("1e-9")).normalize()
    exact = lambda value: [nano(amount) for amount in value] if isinstance(value, list) else nano(value)
    return {rate: exact(rates[rate]) for rate in RATES if rate in rates}


def tidy(kind, entry, fees={}):
    """A price entry with its parts tidied and in order, and with the same fees everywhere."""
    # A set that knows the price of pictures knows it of each service, or that service is not for pictures.
    known = "pictures" not in entry["standard"] or kind != "image"
    offered = [service for service in SERVICES if service in entry and (known or "pictures" in entry[service])]
    fees = {**{fee: entry["standard"][fee] for fee in FEES if fee in entry["standard"]}, **fees}
    services = {service: tidied(kind, {**entry[service], **fees}) for service in offered}
    head = {key: entry[key] for key in ("from", "source") if key in entry}
    tiers = [{"from_input_tokens": tier["from_input_tokens"], **tidy(kind, tier, fees)} for tier in entry.get("tiers", ())]
    times = ("from", "to", "days")
    hours = [
        {**{key: window[key] for key in times if key in window}, "standard": tidied(kind, {**window["standard"], **fees})}
        for window in entry.get("hours", ())
    ]
    return {**head, **services, **({"tiers": tiers} if tiers else {}), **({"hours": hours} if hours else {})}


def in_force(prices, day):
    return [price for price in prices if price.get("from", "") <= day][-1] if prices else None


def fill(entry, other):
    """Puts into `entry` what only `other` knows, if the two agree on plain input and output."""
    plain = lambda entry: (entry["standard"].get("input"), entry["standard"].get("output"))
    if plain(entry) != plain(other):
        return
    for service in SERVICES:
        if service in other:
            entry.setdefault(service, {})
            entry[service] = {**other[service], **entry[service]}
    for tier in entry.get("tiers", ()):
        # At or above a threshold, or only above it: the sets differ by one token, and mean the same tier.
        near = lambda theirs: abs(theirs["from_input_tokens"] - tier["from_input_tokens"]) <= 1
        for theirs in filter(near, other.get("tiers", ())):
            fill(tier, theirs)


NOT_COSTED = {
    "audio_hours": "time connected: ${} per hour",
    "web_searches_kcount": "web searches: ${} per 1,000",
    "storage_searches_kcount": "searches of stored files: ${} per 1,000",
    "input_audio_mtok": "sound as input: ${} per million tokens",
    "input_image_mtok": "pictures as input: ${} per million tokens",
    "input_video_mtok": "video as input: ${} per million tokens",
    "output_audio_mtok": "sound as output: ${} per million tokens",
    "output_video_mtok": "video as output: ${} per million tokens",
    "input_audio_hours": "sound as input: ${} per hour",
}


def not_costed(provider, kind, genai, litellm):
    """What a model also costs that is no part of its price, in words."""
    said = []
    if genai:
        prices = genai.prices if isinstance(genai.prices, Node) else genai.prices[-1].prices
        for key, words in NOT_COSTED.items():
            value = prices.get(key)
            is_fee = GENAI_RATES.get(key) in FEES
            is_rate = key in GENAI_RATES and (provider in COUNTS_SEARCHES if is_fee else kind in ("chat", "image"))
            if value is not None and value != prices.get("input_mtok") and not is_rate:
                said.append(words.format(number(value)))
    if litellm:
        if "input_cost_per_query" in litellm:
            said.append(f"searches: ${number(Decimal(litellm['input_cost_per_query']) * 1000)} per 1,000")
        if "cache_creation_input_token_cost_above_12hr" in litellm:
            rate = Decimal(litellm["cache_creation_input_token_cost_above_12hr"]) * MILLION
            said.append(f"cache writes kept for 12 hours: ${number(rate)} per million tokens")
        regions = {region: litellm.get(f"regional_processing_uplift_multiplier_{region}") for region in ("us", "eu")}
        regions["us"] = regions["us"] or litellm.get("provider_specific_entry", {}).get("us")
        for region, times in regions.items():
            if times:
                said.append(f"processing only in the {region.upper()}: {number(times)} times all rates")
    return said


def differences(ours, theirs):
    """Where two price entries say different things of the same, each as `name theirs`."""
    if ours is None or theirs is None:
        return []
    found = []
    for service in SERVICES:
        for rate, value in theirs.get(service, {}).items():
            if service in ours and rate not in FEES and value != ours[service].get(rate, value):
                found.append(f"{service} {rate} {number(value)}")
    tiers = lambda entry: {tier["from_input_tokens"]: tier for tier in entry.get("tiers", ())}
    ours_by, theirs_by = tiers(ours), tiers(theirs)
    if ours_by.keys() != theirs_by.keys():
        found.append(f"tiers from {', '.join(map(str, theirs_by))}" if theirs_by else "no tiers")
    for start in ours_by.keys() & theirs_by.keys():
        found += [f"from {start}: {difference}" for difference in differences({**ours_by[start]}, {**theirs_by[start]})]
    return found


def number(value):
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def spelled(value):
    """JSON on one line, with decimal numbers as they are."""
    match value:
        case Decimal():
            return number(value)
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {spelled(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(spelled, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def document(catalogue):
    """The file: a model's facts on a line, and each of its prices on another."""
    head = [f"  {json.dumps(key)}: {spelled(value)}," for key, value in catalogue.items() if key != "models"]
    models = []
    for model in catalogue["models"]:
        facts = spelled({key: value for key, value in model.items() if key != "prices"})[:-1]
        prices = ",\n".join(f"      {spelled(price)}" for price in model["prices"])
        models.append(f'    {facts}, "prices": [' + (f"\n{prices}\n    ]" if prices else "]") + "}")
    return "{\n" + "\n".join(head) + '\n  "models": [\n' + ",\n".join(models) + "\n  ]\n}\n"


def parse(text):
    """The catalogue, with every price a decimal number."""

    def exact(fields):
        each = lambda value: [Decimal(amount) for amount in value] if isinstance(value, list) else Decimal(value)
        return {key: each(value) if key in RATES else value for key, value in fields.items()}

    return json.loads(text, parse_float=Decimal, object_hook=exact)
