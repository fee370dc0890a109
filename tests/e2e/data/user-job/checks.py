"""What the team knows of its job: rtmbench calls `large_orders` after each trial, and `orders` before the first."""


def large_orders(inputs, outputs):
    """Every order of 200 and more comes out once, with its amount."""
    wanted = {order["order"]: order["amount"] for order in map(_json, inputs) if order["amount"] >= 200}
    found = [(order["order"], order["amount"]) for order in map(_json, outputs)]
    if missing := wanted.keys() - dict(found).keys():
        yield f"{len(missing)} of {len(wanted)} large orders are missing, such as {min(missing)}"
    if len(found) > len(dict(found)):
        yield f"{len(found) - len(dict(found))} orders came out again"
    for order, amount in found:
        if wanted.get(order) != amount:
            yield f"order {order} came out with {amount}, not {wanted.get(order)}"


def orders():
    """A thousand orders of a few customers, with time stamps that are filled in as they are sent."""
    for number in range(1_000):
        created = {"created": "{{scheduled_at_us}}"}
        yield f"customer-{number % 7}", {"order": "{{i}}", "amount": number, "meta": created}


def _json(record):
    return record.json()
