"""Repository of the model registry: models by name, which of them serve now, and the steps that led there."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ecowire import documents
from hub.store_unit import Repository
from hub.tables_models import ModelRow, ModelStepRow
from privacy.ids import Digest, PartnerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered model. `share_ppm`: of the clients that it serves, 0 unless it is RELEASED."""

    job: Digest
    name: str
    number: int
    state: str
    share_ppm: int
    salt: str
    digest: str
    label_holder: PartnerId
    registration: str
    valid_until: datetime
    registered_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStep:
    """One change of a name, as the hub signed it."""

    name: str
    number: int
    job: Digest
    action: str
    document: documents.Signed
    taken_at: datetime


class ModelStore(Repository):
    """The registry."""

    def get(self, job: str) -> Model | None:
        row = self._session.get(ModelRow, job)
        return _model(row) if row else None

    def models(self, name: str | None = None) -> tuple[Model, ...]:
        """All models, or those of a name, by name and number."""
        query = select(ModelRow).order_by(ModelRow.name, ModelRow.number)
        if name is not None:
            query = query.where(ModelRow.name == name)
        return tuple(_model(row) for row in self._session.scalars(query))

    def serving(self, name: str) -> tuple[Model, ...]:
        """What serves a name's clients now, the one that reaches a share of them before the one that reaches all."""
        query = select(ModelRow).where(ModelRow.name == name, ModelRow.state == "RELEASED")
        return tuple(_model(row) for row in self._session.scalars(query.order_by(ModelRow.share_ppm)))

    def next_number(self, name: str) -> int:
        query = select(func.coalesce(func.max(ModelRow.number), 0)).where(ModelRow.name == name)
        return int(self._session.scalars(query).one()) + 1

    def add(self, model: Model) -> None:
        self._session.add(ModelRow(**{field: getattr(model, field) for field in Model.__slots__}))
        self._session.flush()

    def put(self, job: str, *, state: str, share_ppm: int, salt: str, now: datetime) -> None:
        """Write a state that the caller has checked; what leaves a place is written before what takes it."""
        row = self._session.get_one(ModelRow, job)
        row.state, row.share_ppm, row.salt, row.changed_at = state, share_ppm, salt, now
        self._session.flush()

    def add_step(self, step: ModelStep) -> None:
        row = ModelStepRow(
            name=step.name,
            number=step.number,
            job=step.job,
            action=step.action,
            document=step.document.encode().decode(),
            taken_at=step.taken_at,
        )
        self._session.add(row)
        self._session.flush()

    def steps(self, name: str) -> tuple[ModelStep, ...]:
        """A name's steps, oldest first."""
        query = select(ModelStepRow).where(ModelStepRow.name == name).order_by(ModelStepRow.number)
        return tuple(_step(row) for row in self._session.scalars(query))


def _model(row: ModelRow) -> Model:
    return Model(
        job=Digest(row.job),
        name=row.name,
        number=row.number,
        state=row.state,
        share_ppm=row.share_ppm,
        salt=row.salt,
        digest=row.digest,
        label_holder=PartnerId(row.label_holder),
        registration=row.registration,
        valid_until=row.valid_until,
        registered_at=row.registered_at,
        changed_at=row.changed_at,
    )


def _step(row: ModelStepRow) -> ModelStep:
    return ModelStep(
        name=row.name,
        number=row.number,
        job=Digest(row.job),
        action=row.action,
        document=documents.decode(row.document.encode()),
        taken_at=row.taken_at,
    )
