//! The package's types that are written in Python: imported once, when the module is.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tierstack::{Cause, EventKind, Metrics, Operation, Staleness, Status, Tier, TierMetrics};

pub struct Imports {
    tiers: [Py<PyAny>; 3],
    causes: [Py<PyAny>; 3],
    operations: [Py<PyAny>; 4],
    statuses: [Py<PyAny>; 4],
    kinds: [Py<PyAny>; 5],
    staleness: [Py<PyAny>; 4],
    metrics: Py<PyAny>,
    tier_metrics: Py<PyAny>,
    pub capacity: Py<PyAny>,
    pub keys_view: Py<PyAny>,
    pub values_view: Py<PyAny>,
    pub items_view: Py<PyAny>,
    pub store_error: Py<PyAny>,
    pub contended_error: Py<PyAny>,
    pub over_budget_error: Py<PyAny>,
    pub budget_error: Py<PyAny>,
    pub plan_error: Py<PyAny>,
    pub not_open_error: Py<PyAny>,
    pub savepoint_error: Py<PyAny>,
}

static IMPORTS: PyOnceLock<Imports> = PyOnceLock::new();

/// Imports them. Called when the module is imported, whose package has these modules already.
pub fn import(py: Python<'_>) -> PyResult<()> {
    IMPORTS.get_or_try_init(py, || Imports::new(py)).map(drop)
}

/// The types, once the module was imported.
#[inline]
pub fn imports(py: Python<'_>) -> &'static Imports {
    IMPORTS.get(py).expect("the module was imported, or nobody has anything of it")
}

fn members<const N: usize>(module: &Bound<'_, PyModule>, class: &str, names: [&str; N]) -> PyResult<[Py<PyAny>; N]> {
    let class = module.getattr(class)?;
    let members = names.iter().map(|name| class.getattr(*name).map(Bound::unbind)).collect::<PyResult<Vec<_>>>()?;
    Ok(members.try_into().unwrap_or_else(|_| unreachable!("as many as names")))
}

impl Imports {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let types = py.import("tierstack._types")?;
        let errors = py.import("tierstack._errors")?;
        let views = py.import("tierstack._views")?;
        let of = |module: &Bound<'_, PyModule>, name: &str| module.getattr(name).map(Bound::unbind);
        Ok(Self {
            tiers: members(&types, "Tier", ["HOT", "WARM", "COLD"])?,
            causes: members(&types, "Cause", ["OVERFLOWED", "REMOVED", "REPLACED"])?,
            operations: members(&types, "Operation", ["CREATE", "MODIFY", "DELETE", "RENAME"])?,
            statuses: members(&types, "Status", ["OPEN", "CLOSED", "ABORTED", "ROLLED_BACK"])?,
            kinds: members(&types, "EventKind", ["STARTED", "RECORDED", "CLOSED", "ABORTED", "ROLLED_BACK"])?,
            staleness: members(&types, "Staleness", ["MISSING", "OCCUPIED", "OTHER_CONTENT", "FOLDER"])?,
            metrics: of(&types, "Metrics")?,
            tier_metrics: of(&types, "TierMetrics")?,
            capacity: of(&types, "Capacity")?,
            keys_view: of(&views, "KeysView")?,
            values_view: of(&views, "ValuesView")?,
            items_view: of(&views, "ItemsView")?,
            store_error: of(&errors, "StoreError")?,
            contended_error: of(&errors, "ContendedError")?,
            over_budget_error: of(&errors, "OverBudgetError")?,
            budget_error: of(&errors, "BudgetError")?,
            plan_error: of(&errors, "PlanError")?,
            not_open_error: of(&errors, "NotOpenError")?,
            savepoint_error: of(&errors, "SavepointError")?,
        })
    }

    pub fn metrics<'py>(&self, py: Python<'py>, metrics: &Metrics) -> PyResult<Bound<'py, PyAny>> {
        let tier = |tier: TierMetrics| {
            self.tier_metrics.bind(py).call1((tier.fragments, tier.bytes, tier.kept_fragments, tier.kept_bytes))
        };
        let counters = [
            metrics.hits,
            metrics.misses,
            metrics.stores,
            metrics.replacements,
            metrics.promotions,
            metrics.demotions,
            metrics.evictions,
            metrics.removals,
            metrics.overflowed,
            metrics.contended,
            metrics.retired_bytes,
            metrics.peak_hot_bytes,
        ];
        let mut fields = counters
            .map(|counter| counter.into_pyobject(py).map(Bound::into_any))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        for held in [metrics.hot, metrics.warm, metrics.cold] {
            fields.push(tier(held)?);
        }
        self.metrics.bind(py).call1(pyo3::types::PyTuple::new(py, fields)?)
    }
}

pub fn tier(py: Python<'_>, tier: Tier) -> Py<PyAny> {
    imports(py).tiers[tier as usize].clone_ref(py)
}

pub fn cause(py: Python<'_>, cause: Cause) -> Py<PyAny> {
    let at = match cause {
        Cause::Overflowed => 0,
        Cause::Replaced => 2,
        // Nothing here expires or is archived.
        _ => 1,
    };
    imports(py).causes[at].clone_ref(py)
}

pub fn operation(py: Python<'_>, at: usize) -> Py<PyAny> {
    imports(py).operations[at].clone_ref(py)
}

pub fn operation_of(py: Python<'_>, of: &Operation) -> Py<PyAny> {
    operation(
        py,
        match of {
            Operation::Create => 0,
            Operation::Modify => 1,
            Operation::Delete => 2,
            Operation::Rename { .. } => 3,
        },
    )
}

pub fn status(py: Python<'_>, status: Status) -> Py<PyAny> {
    let at = match status {
        Status::Open => 0,
        Status::Closed => 1,
        Status::Aborted => 2,
        Status::RolledBack => 3,
    };
    imports(py).statuses[at].clone_ref(py)
}

pub fn kind<C>(py: Python<'_>, kind: &EventKind<C>) -> Py<PyAny> {
    let at = match kind {
        EventKind::Started { .. } => 0,
        EventKind::Recorded { .. } => 1,
        EventKind::Closed { .. } => 2,
        EventKind::Aborted { .. } => 3,
        EventKind::RolledBack { .. } => 4,
    };
    imports(py).kinds[at].clone_ref(py)
}

pub fn staleness(py: Python<'_>, kind: Staleness) -> Py<PyAny> {
    let at = match kind {
        Staleness::Missing => 0,
        Staleness::Occupied => 1,
        Staleness::OtherContent => 2,
        _ => 3,
    };
    imports(py).staleness[at].clone_ref(py)
}
