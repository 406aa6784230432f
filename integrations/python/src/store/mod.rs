//! The store: its settings, and how the garbage collector sees it. Its methods are in the files beside this.
//!
//! # Garbage collection
//!
//! The collector asks an object for its references several times in one collection. Each reference must be named at most once, and each time the same ones: else it takes for
//! garbage what is not. So:
//!
//! - A store is walked at rest, tier by tier. The collector runs where Python code or an allocation of a Python object does, on a thread that is attached. Operations that
//!   change the store run neither, and do not detach. So none is half-way then, and each fragment stands in one tier. What is detached only reads.
//! - Values that have left the store, and wait until nobody can be reading them, are not named. To the collector they look as if something else referred to them.
//! - Snapshots have references of their own.
//! - Nothing has an age. What expires would end while it is walked.
//!
//! What is no container cannot be in a cycle. A store that has only had such values (texts, bytes, numbers) is not walked.
//!
//! Weigher and listener stay when the store is cleared, as the members of a tuple would: they are there before the store is, so that something else in each cycle through them can be
//! cleared.

mod looking;
mod mapping;
mod moving;
mod taking;
mod writing;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use tierstack::{Capacity, Cause, Tier};

use crate::calls::call;
use crate::departed::Listener;
use crate::dropped::{GivesUp, Reference, give_up};
use crate::refusals;
use crate::value::{Native, NativeSnapshot};
use crate::{arguments, settle, weigh};

/// A store of fragments in three tiers, for many threads at once. It is a mutable mapping from ``str`` to any value.
///
/// ``hot_budget`` bounds the sum of the weights in hot, at every instant. What does not fit moves down to warm and cold, least recently used first. Nothing leaves the
/// store unless a call takes it out, a ``store`` replaces it, or a capacity pushes it out of cold.
///
/// ``weigher(key, value)`` says what a fragment weighs. Without one, a fragment weighs the bytes of its key in UTF-8, and those of its value: a ``str`` in UTF-8,
/// ``bytes``, or any buffer. Other values need a ``weight=``, or a weigher.
///
/// ``warm_capacity`` and ``cold_capacity`` bound warm and cold: an ``int`` of bytes, or a ``Capacity``.
///
/// ``on_departure(departure)`` is called for each fragment that leaves, after the call that made it leave has taken effect, and on the same thread. It may use
/// the store. An exception that it raises goes to ``sys.unraisablehook``. ``departure_causes`` says of which causes it is told; of all by default.
///
/// ``recency_slack`` lets a use leave a fragment where it is in the order if fewer than so many uses came between. 0 is exact LRU.
///
/// Each method takes effect at one instant, unless it says otherwise. No Python code runs while a call is half-way: weighers and functions run before,
/// listeners and destructors of values after. No call takes a lock. A value is a live reference. Whoever mutates it in place, mutates it for all.
///
/// Keys that are not ``str`` raise ``TypeError``. Keys with lone surrogates raise ``UnicodeEncodeError``, which is a ``ValueError``. Two stores are equal only if they
/// are the same store.
///
/// >>> from tierstack import TierStore
/// >>> store = TierStore(10)
/// >>> store.store("a", "12345").tier
/// <Tier.HOT: 0>
/// >>> store.store("b", "123456").tier  # "a" moves to warm
/// <Tier.HOT: 0>
/// >>> store.tier_of("a"), store.hot_bytes
/// (<Tier.WARM: 1>, 7)
// Not immutable: only so does its registration as a mapping reach `match`.
#[pyclass(frozen, generic, mapping, weakref, module = "tierstack")]
pub struct TierStore {
    /// Made by the constructor, or by `__setstate__`, which comes after it.
    native: OnceLock<Native>,
    /// Whether any value was one that can be in a cycle.
    has_containers: AtomicBool,
    weigher: Option<Reference>,
    listener: Option<Arc<Listener>>,
    settings: Settings,
    #[expect(dead_code, reason = "dropped after the values")]
    gives_up: GivesUp,
}

/// What is not changed any more.
#[derive(Clone)]
struct Settings {
    hot_budget: u64,
    warm: Capacity,
    cold: Capacity,
    causes: Option<Vec<Cause>>,
    recency_slack: u64,
}

impl TierStore {
    fn new(settings: Settings, weigher: Option<Reference>, on_departure: Option<Reference>) -> Self {
        let listener = on_departure.map(|callable| Arc::new(Listener { callable, is_silent: AtomicBool::new(false) }));
        Self {
            native: OnceLock::new(),
            has_containers: AtomicBool::new(false),
            weigher,
            listener,
            settings,
            gives_up: GivesUp,
        }
    }

    fn builder(&self) -> tierstack::Builder<Arc<str>, crate::value::Value> {
        let Settings { hot_budget, warm, cold, causes, recency_slack } = &self.settings;
        let builder = Native::builder(*hot_budget).weigher(|_, value| value.weight);
        let builder = builder.warm_capacity(*warm).cold_capacity(*cold).recency_slack(*recency_slack);
        let Some(listener) = self.listener.clone() else { return builder };
        let builder = builder.listener(move |departure| listener.take_down(departure));
        match causes {
            None => builder,
            Some(causes) => builder.listener_causes(causes.iter().copied()),
        }
    }

    /// The store. An empty one is made where there is none: after `__new__` of a copy, and before its state is set.
    #[inline]
    fn native(&self) -> &Native {
        match self.native.get() {
            Some(native) => native,
            None => self.make(),
        }
    }

    #[cold]
    fn make(&self) -> &Native {
        self.native.get_or_init(|| self.builder().build().expect("the budget was looked at"))
    }

    /// Fills a store that nobody has used, with the fragments of a snapshot.
    fn fill(&self, snapshot: NativeSnapshot) -> PyResult<()> {
        for (_, item) in &snapshot {
            self.note_container(&item.value.reference);
        }
        let restored = self.builder().restore(snapshot).map_err(|error| refusals::not_restored(error.reason))?;
        let refused =
            |_| PyValueError::new_err("the store is in use already: its state can only be set at the beginning");
        self.native.set(restored).map_err(refused)
    }

    /// A store with the same settings as it has now, and without fragments.
    fn empty_copy(&self) -> Self {
        let settings = Settings { hot_budget: self.native().hot_budget(), ..self.settings.clone() };
        // SAFETY: called by a thread that is attached.
        let duplicate = |reference: &Reference| unsafe { reference.duplicate() };
        let listener = self.listener.as_ref().map(|listener| duplicate(&listener.callable));
        Self::new(settings, self.weigher.as_ref().map(duplicate), listener)
    }

    /// Before the value is stored, so that the collector does not overlook it.
    #[inline]
    fn note_container(&self, value: &Reference) {
        // Relaxed: the collector runs on a thread that is attached, after all that other threads did while they were.
        if !self.has_containers.load(Ordering::Relaxed)
            // SAFETY: alive, as there is a reference.
            && unsafe { ffi::PyObject_IS_GC(value.as_py().as_ptr()) } != 0
        {
            self.has_containers.store(true, Ordering::Relaxed);
        }
    }

    /// What a fragment weighs. Runs the weigher.
    fn weigh(
        &self,
        key: &Bound<'_, PyAny>,
        text: &str,
        value: &Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        if let Some(weight) = weight {
            return arguments::weight("weight", weight);
        }
        let Some(weigher) = &self.weigher else { return weigh::bytes(text, value) };
        let weight = call(weigher.bind(key.py()), [key, value])?;
        arguments::weight("what the weigher returns", &weight)
    }
}

fn callable(name: &str, object: Option<Bound<'_, PyAny>>) -> PyResult<Option<Reference>> {
    let Some(object) = object else { return Ok(None) };
    if !object.is_callable() {
        let given = arguments::type_name(&object);
        return Err(PyTypeError::new_err(format!("{name} must be callable or None, not {given}")));
    }
    Ok(Some(Reference::new(object)))
}

#[pymethods]
impl TierStore {
    #[new]
    #[pyo3(
        signature = (
            hot_budget, *, weigher=None, warm_capacity=None, cold_capacity=None, on_departure=None,
            departure_causes=None, recency_slack=None
        ),
        text_signature = "(hot_budget, *, weigher=None, warm_capacity=None, cold_capacity=None, \
            on_departure=None, departure_causes=None, recency_slack=0)"
    )]
    fn __new__(
        hot_budget: &Bound<'_, PyAny>,
        weigher: Option<Bound<'_, PyAny>>,
        warm_capacity: Option<&Bound<'_, PyAny>>,
        cold_capacity: Option<&Bound<'_, PyAny>>,
        on_departure: Option<Bound<'_, PyAny>>,
        departure_causes: Option<&Bound<'_, PyAny>>,
        recency_slack: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let slack = recency_slack.map(|slack| arguments::number_up_to("recency_slack", slack, u64::MAX));
        let settings = Settings {
            hot_budget: arguments::budget("hot_budget", hot_budget)?,
            warm: arguments::capacity("warm_capacity", warm_capacity)?,
            cold: arguments::capacity("cold_capacity", cold_capacity)?,
            causes: arguments::causes(departure_causes)?,
            recency_slack: slack.transpose()?.unwrap_or(0),
        };
        Ok(Self::new(settings, callable("weigher", weigher)?, callable("on_departure", on_departure)?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.weigher.as_ref().map(Reference::as_py))?;
        visit.call(self.listener.as_ref().map(|listener| listener.callable.as_py()))?;
        let Some(native) = self.native.get() else { return Ok(()) };
        // Relaxed: as for the store above.
        if !self.has_containers.load(Ordering::Relaxed) {
            return Ok(());
        }
        let view = native.pin();
        for tier in Tier::ALL {
            for item in view.iter(tier) {
                visit.call(item.value.reference.as_py())?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        // Relaxed: nobody else reaches the store any more.
        if let Some(listener) = &self.listener {
            listener.is_silent.store(true, Ordering::Relaxed);
        }
        let Some(native) = self.native.get() else { return };
        let keys: Vec<_> = Tier::ALL.iter().flat_map(|tier| native.iter(*tier)).map(|item| item.key).collect();
        for key in &keys {
            native.remove(&**key);
        }
        for _ in 0..=keys.len() / 4096 {
            native.flush();
        }
        // SAFETY: the collector clears on a thread that is attached.
        give_up(unsafe { Python::assume_attached() });
    }

    fn __repr__(&self) -> String {
        let native = self.native();
        let [hot, warm, cold] = Tier::ALL.map(|tier| native.len(tier));
        let (bytes, budget) = (native.hot_bytes(), native.hot_budget());
        format!("<tierstack.TierStore of {hot} hot ({bytes} of {budget} bytes), {warm} warm and {cold} cold fragments>")
    }

    /// A store with the same settings and the same fragments: tiers, recency and kept ones. The values are the same objects.
    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let copy = self.empty_copy();
        let filled = copy.fill(crate::snapshot::take(self.native(), None, py));
        settle(py);
        filled.map(|()| copy)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, store) = (slf.py(), slf.get());
        let Settings { warm, cold, causes, recency_slack, .. } = &store.settings;
        let of = |capacity: &Capacity| (capacity.bytes, capacity.entries);
        let names = causes.as_ref().map(|causes| {
            let name = |cause: &Cause| arguments::CAUSES.iter().find(|(of, _)| of == cause).map(|(_, name)| *name);
            causes.iter().filter_map(name).collect::<Vec<_>>()
        });
        let native = store.native();
        let settings = (
            native.hot_budget(),
            store.weigher.as_ref().map(|weigher| weigher.bind(py).clone()),
            of(warm),
            of(cold),
            store.listener.as_ref().map(|listener| listener.callable.bind(py).clone()),
            names,
            *recency_slack,
        );
        let restore = py.import("tierstack._state")?.getattr("restore")?;
        let state = crate::state::write(&crate::snapshot::take(native, None, py), py)?;
        (restore, settings, state).into_pyobject(py).map(Bound::into_any)
    }

    fn __setstate__(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let filled = crate::state::read(state).and_then(|snapshot| self.fill(snapshot));
        settle(state.py());
        filled
    }
}
