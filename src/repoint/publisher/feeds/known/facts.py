"""The facts that the world is told, read from the signed documents of a repository.

Everything that is published below ``security/`` is a function of these facts, and they are a
function of what is signed. So the same repository always tells the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import About, BaselineName, RestartScope
from repoint.model.catalog import Catalog, Offer, Retirement
from repoint.model.encoding import decode_record
from repoint.model.halt import Halt, HaltedLetter
from repoint.model.improvement import LetteredAdvisory
from repoint.model.version import label
from repoint.publisher.catalog.catalogs import read_catalog
from repoint.publisher.feeds.known.corrections import corrected_claims
from repoint.publisher.feeds.known.outlines import baseline_outline, improvement_outline
from repoint.repository import names
from repoint.repository.repository import Repository

State = Literal["offered", "paused", "halted", "withdrawn"]


@dataclass(frozen=True)
class KnownBaseline:
    """A published baseline.

    Attributes:
        name: Its name.
        created: When it was registered, in seconds since 1970.
        about: The names and the contact of its product, for people.
        restarts: What must restart for a fix to be in force, by component.
        retired: Since when and why it is retired; None if it is not.
    """

    name: BaselineName
    created: int
    about: About
    restarts: Mapping[str, RestartScope]
    retired: Retirement | None


@dataclass(frozen=True)
class KnownImprovement:
    """A published improvement and its state.

    Attributes:
        product: The product.
        about: The names and the contact of its product, for people.
        baseline: The baseline that it is for.
        letter: Its letter.
        advisories: The advisories of all letters that it contains, its own last, with what later
            letters correct: see `feeds.known.corrections`.
        fixes: What they say: by CVE id or ``LETTER:NUMBER``, and by component.
        dropped: Fixes of earlier letters that it knowingly lacks.
        wrong: What it says it fixes although it does not.
        components: The components that it changes.
        published: When it was published, in seconds since 1970.
        corrected: When later letters corrected what it says, and what they said.
        offer: Its offer.
        halt: The last halt of it, whether or not that still counts.
        earlier: The earlier letters of its baseline, oldest first.
        others: The other baselines of the product that were registered before it was published.
        apart: What tells it from letters of other baselines with the same label, such as
            `` for linux-x86_64``; may be empty.
    """

    product: str
    about: About
    baseline: KnownBaseline
    letter: str
    advisories: tuple[LetteredAdvisory, ...]
    fixes: dict[str, dict[str, Fix]]
    dropped: tuple[str, ...]
    wrong: frozenset[str]
    components: tuple[str, ...]
    published: int
    corrected: tuple[tuple[int, str], ...]
    offer: Offer
    halt: HaltedLetter | None
    earlier: tuple[KnownImprovement, ...]
    others: tuple[KnownBaseline, ...]
    apart: str = ""

    @property
    def label(self) -> str:
        """The label, such as ``26.3.1 (a)``."""
        return label(self.baseline.name.version, self.letter)

    @property
    def own(self) -> Advisory:
        """The advisory that it introduced."""
        return self.advisories[-1].advisory

    @property
    def product_name(self) -> str:
        """The name of the product for people."""
        return self.about.name or self.product

    @property
    def title(self) -> str:
        """The product's name and the label, such as ``Acme Kiosk 26.3.1 (a)``."""
        return f"{self.product_name} {self.label}"

    @property
    def full_title(self) -> str:
        """The title, with the platform or the build if the label alone could be another's."""
        return f"{self.title}{self.apart}"

    @property
    def id(self) -> str:
        """The id under which the world knows it.

        Parts that differ only in characters that file names cannot hold would give one id, and a
        product may end like a platform begins. The digest of the target path tells them apart.
        """
        name = self.baseline.name
        path = names.improvement_path(self.product, name, self.letter)
        digest = hashlib.sha256(path.encode()).hexdigest()[:8]
        return f"{self.product}-{name.version}-{self.letter}-{name.platform}-{digest}"

    @property
    def state(self) -> State:
        """Whether it is offered, and if not, why not."""
        if self.offer.state != "withdrawn" and self.halt is not None:
            return "halted" if self.halt.stops(self.offer) else self.offer.state
        return self.offer.state

    @property
    def reason(self) -> str:
        """Why it is not offered; may be empty."""
        halted = self.state == "halted" and self.halt is not None
        return self.halt.reason if halted and self.halt is not None else self.offer.reason

    @property
    def events(self) -> list[tuple[int, str]]:
        """What happened to it, with the time in seconds since 1970, oldest first.

        Earlier pauses and halts are not in the signed documents any more.
        """
        found = list(self.corrected)
        offer, halt = self.offer, self.halt
        if halt is not None:
            found.append((halt.since, f"Halted: {halt.reason}"))
        if offer.resumed:
            found.append((offer.resumed, "Offered again."))
        if offer.state == "offered" and offer.since > max(self.published, offer.resumed):
            found.append((offer.since, "Offered."))
        if offer.state != "offered":
            because = f": {offer.reason}" if offer.reason else "."
            found.append((offer.since, f"{offer.state.capitalize()}{because}"))
        # A clock may have been set back.
        later = ((max(at, self.published + 1), text) for at, text in found)
        return [(self.published, "Published."), *sorted(later)]

    @property
    def changed(self) -> int:
        """When its state last changed, in seconds since 1970."""
        return self.events[-1][0]


@dataclass(frozen=True)
class KnownProduct:
    """A product with its baselines, and its improvements in the order of their letters."""

    product: str
    about: About
    baselines: tuple[KnownBaseline, ...]
    improvements: tuple[KnownImprovement, ...]


@dataclass(frozen=True)
class Facts:
    """All that the world is told.

    Attributes:
        address: The public address of the repository, without a slash at its end; empty if unknown.
        products: The products, by name.
    """

    address: str
    products: tuple[KnownProduct, ...]

    @property
    def improvements(self) -> list[KnownImprovement]:
        """All improvements, the latest publication first."""
        found = [each for product in self.products for each in product.improvements]
        return sorted(found, key=lambda each: (-each.published, each.id))

    @property
    def changed(self) -> int:
        """When anything last changed, in seconds since 1970."""
        moments = [each.changed for each in self.improvements]
        moments += [base.created for product in self.products for base in product.baselines]
        return max(moments, default=0)

    @property
    def title(self) -> str:
        """What a list of all improvements is called."""
        names = {product.about.name or product.product for product in self.products}
        whose = names.pop() if len(names) == 1 else self.about.vendor
        return f"{whose}: Background Security Improvements".removeprefix(": ")

    @property
    def about(self) -> About:
        """The names and the contact of the vendor: those of the latest baseline that has them."""
        found = [base for product in self.products for base in product.baselines]
        return _latest(found, lambda about: bool(about.vendor or about.contact))


def read_facts(repository: Repository) -> Facts:
    """Read what the world may know from the published documents of a repository.

    Raises:
        DamagedRepositoryError: A file is missing or differs from what was signed.
        SettingsError: The settings cannot be read.
    """
    products = tuple(_read_product(repository, each) for each in repository.products())
    return Facts(repository.address, products)


def _read_product(repository: Repository, product: str) -> KnownProduct:
    catalog = read_catalog(repository, product)
    halts = _read_halts(repository, product)
    baselines = tuple(
        _known_baseline(repository, catalog, listed.name) for listed in catalog.baselines
    )
    about = _latest(baselines, lambda about: bool(about.name))
    found: list[KnownImprovement] = []
    for baseline in baselines:
        offers = catalog.offers_for(baseline.name)
        records = [
            improvement_outline(repository, product, baseline.name, offer.letter)
            for offer in offers
        ]
        dates = [
            # Repositories that older versions of Repoint wrote say only when it was built.
            repository.published(names.improvement_path(product, baseline.name, record.letter))
            or record.created
            for record in records
        ]
        claims = corrected_claims(records, offers)
        earlier: tuple[KnownImprovement, ...] = ()
        for number, (offer, record) in enumerate(zip(offers, records, strict=True)):
            halted = [h for h in halts if (h.baseline, h.letter) == (offer.baseline, offer.letter)]
            said = claims[number]
            known = KnownImprovement(
                product=product,
                about=baseline.about if baseline.about.name else about,
                baseline=baseline,
                letter=record.letter,
                advisories=said.advisories,
                fixes=said.fixes,
                dropped=said.dropped,
                wrong=said.wrong,
                components=tuple(component.name for component in record.components),
                published=dates[number],
                corrected=tuple((dates[by], text) for by, text in said.corrected),
                offer=offer,
                halt=max(halted, key=lambda each: each.since, default=None),
                earlier=earlier,
                others=tuple(
                    other
                    for other in baselines
                    if other.name != baseline.name and other.created <= dates[number]
                ),
                apart=_apart(baseline.name, [other.name for other in baselines]),
            )
            earlier = (*earlier, known)
        found += earlier
    return KnownProduct(product, about, baselines, tuple(found))


def _apart(name: BaselineName, others: Sequence[BaselineName]) -> str:
    same = [other for other in others if other.version == name.version]
    build = f" ({name.build})" if len({other.build for other in same}) > 1 else ""
    return build + (f" for {name.platform}" if len({o.platform for o in same}) > 1 else "")


def _known_baseline(repository: Repository, catalog: Catalog, name: BaselineName) -> KnownBaseline:
    record = baseline_outline(repository, catalog.product, name)
    listed = catalog.listed(name)
    return KnownBaseline(
        name,
        record.created,
        record.about,
        {component.name: component.restart for component in record.components},
        listed.retired if listed is not None else None,
    )


def _read_halts(repository: Repository, product: str) -> Sequence[HaltedLetter]:
    path = names.halt_path(product)
    if not repository.target_exists(path):
        return ()
    return decode_record(repository.read_target(path), Halt, path).letters


def _latest(baselines: Sequence[KnownBaseline], wanted: Callable[[About], bool]) -> About:
    found = [each for each in baselines if wanted(each.about)]
    return max(found, key=lambda each: each.created).about if found else About()
