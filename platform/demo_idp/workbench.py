"""The workbench: performs behaviors, sends tokens, and compares Changegate's answer with what it must be."""

from dataclasses import dataclass, replace
from datetime import datetime

from demo_idp.behaviors import Behavior
from demo_idp.exchange import Answer, Changegate, Client
from demo_idp.orders import NO_DEVIATION, TokenOrder
from demo_idp.provider import USABLE, IdentityProvider, SignedToken

RULES_UNTIL_KEY = ("form", "alg", "key")


@dataclass(frozen=True, slots=True)
class Result:
    """A signed token, the answers to it if it was sent, and a line that compares them with what must happen."""

    signed: SignedToken
    behavior: Behavior | None
    answers: tuple[Answer, ...]
    line: str
    # None if nothing was sent, or if Changegate may answer either way at this moment.
    is_as_expected: bool | None

    @property
    def answer(self) -> Answer | None:
        """Return the last answer."""
        return self.answers[-1] if self.answers else None


class Workbench:
    """The identity provider together with the Changegate that it sends to.

    It remembers the last order, client, and result in the memory of the process, for the page.
    """

    def __init__(self, provider: IdentityProvider, changegate: Changegate, audience: str) -> None:
        self.provider = provider
        self.changegate = changegate
        self.audience = audience
        self.order = TokenOrder(audience=audience)
        self.client = Client()
        self.result: Result | None = None

    def remember(self, order: TokenOrder, client: Client | None) -> None:
        """Keep an order and a client for the next requests; without a new secret, the same client keeps its own."""
        named = client or Client()
        if not named.secret and named.client_id == self.client.client_id:
            named = replace(named, secret=self.client.secret)
        self.order, self.client = order, named

    def act(self, behavior: Behavior) -> None:
        """Change the key set as a behavior does."""
        if behavior.change is not None:
            self.provider.keys.change(behavior.change)
        if behavior.fault is not None:
            self.provider.switch(behavior.fault)

    def run(
        self, order: TokenOrder, client: Client | None = None, behavior: Behavior | None = None, *, send: bool = True
    ) -> Result:
        """Perform a behavior, sign a token with its deviation, and send it, by default as the last client."""
        if behavior is not None:
            self.act(behavior)
        deviation = NO_DEVIATION if behavior is None or behavior.deviation is None else behavior.deviation
        signed = self.provider.sign(order, deviation)
        # Before it is sent: the exchange may cause a fetch.
        kid_was_known = self.provider.is_known_to_changegate(signed.header.get("kid"))
        times = deviation.times if send else 0
        answers = tuple(self.changegate.exchange(signed.assertion, client or self.client) for _ in range(times))
        line, is_as_expected = self._compare(behavior, signed, answers, kid_was_known=kid_was_known)
        self.result = Result(signed, behavior, answers, line, is_as_expected)
        return self.result

    def _compare(
        self, behavior: Behavior | None, signed: SignedToken, answers: tuple[Answer, ...], *, kid_was_known: bool
    ) -> tuple[str, bool | None]:
        if not answers:
            return "Signed, and not sent.", None
        answer, kid = answers[-1], signed.header.get("kid")
        if answer.status is None:
            return str(answer.body["error_description"]), None
        said = f"{'Accepted' if answer.is_accepted else 'Refused'} (HTTP {answer.status})"
        # A replay counts only if the token was accepted before.
        if behavior is not None and behavior.must_be_refused and all(former.is_accepted for former in answers[:-1]):
            if answer.is_accepted:
                return self._compare_wrong_acceptance(behavior, said, kid_was_known=kid_was_known)
            return self._compare_refusal(behavior, said, answer, kid)
        return self._compare_acceptance(said, answer, kid, kid_was_known=kid_was_known)

    def _compare_refusal(self, behavior: Behavior, said: str, answer: Answer, kid: object) -> tuple[str, bool | None]:
        if answer.body.get("error") != "invalid_grant":
            return f"{said} before the token was verified. Check the client ID and the secret.", None
        # Changegate checks the key before everything that the signature covers.
        if kid is not None and behavior.rule not in RULES_UNTIL_KEY and not self.provider.is_known_to_changegate(kid):
            return self._explain_unknown_key(said), None
        return f"{said}, as expected: rule “{behavior.rule}”, reason {behavior.reason}.", True

    def _compare_wrong_acceptance(
        self, behavior: Behavior, said: str, *, kid_was_known: bool
    ) -> tuple[str, bool | None]:
        if behavior.reason == "kid_unknown" and kid_was_known:
            return f"{said}: Changegate still has this key in its cache. {self.explain_cooldown()}", None
        return f"{said}, although it must be refused with {behavior.reason}: {behavior.must}", False

    def _compare_acceptance(
        self, said: str, answer: Answer, kid: object, *, kid_was_known: bool
    ) -> tuple[str, bool | None]:
        is_faulty = self.provider.fault not in USABLE
        if answer.is_accepted:
            why = ": Changegate has this key in its cache" if is_faulty else ""
            return f"{said}, as expected{why}.", True
        if is_faulty and not kid_was_known:
            return f"{said}: the key set has the fault “{self.provider.fault}”, and this key was never fetched.", True
        if not self.provider.is_known_to_changegate(kid):
            return self._explain_unknown_key(said), None
        return f"{said}, although it must be accepted. Open the event for the reason.", False

    def _explain_unknown_key(self, said: str) -> str:
        return f"{said}: Changegate does not know this key yet. {self.explain_cooldown()}"

    def explain_cooldown(self) -> str:
        """Return until when Changegate may wait before it fetches the key set for an unknown kid."""
        until: datetime | None = self.provider.fetched_again_at
        if until is None:
            return "It fetches the key set at the next token with an unknown kid."
        return (
            "After a fetch it waits for a cooldown of up to 60 seconds: it fetches again at "
            f"{until:%H:%M:%S} UTC at the latest, or at once with “Refresh keys now” on the integration's page."
        )
