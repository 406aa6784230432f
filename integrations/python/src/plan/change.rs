//! A change, as Python sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString};
use tierstack::{Content, Digest, Operation};

use crate::arguments::type_name;
use crate::fragment::hash;
use crate::imports;

/// One change of one file. It never changes itself, and can be compared, copied and pickled.
///
/// ``path`` is the path after the change; for a deletion, the path before. ``from_path`` is where a renamed file stood. ``before`` and ``after`` are digests of
/// the content, as ``bytes`` or as hexadecimal digits; attributes are ``bytes``. ``content`` is what stands there after. ``recorder`` says whose change it is.
/// ``metadata`` is anything else, as text.
///
/// >>> from tierstack import Change
/// >>> change = Change.create("notes.md", content="hello", recorder="lexical")
/// >>> Change.from_dict(change.to_dict()) == change
/// True
#[pyclass(frozen, eq, immutable_type, module = "tierstack")]
#[derive(PartialEq, Eq)]
pub struct Change(pub Arc<tierstack::Change>);

/// A text argument.
pub fn text(name: &str, object: &Bound<'_, PyAny>) -> PyResult<String> {
    match object.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => Err(PyTypeError::new_err(format!("{name} must be a str, not {}", type_name(object)))),
    }
}

fn digest(name: &str, object: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Digest>> {
    let Some(object) = object else { return Ok(None) };
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Some(Digest::from(bytes.as_bytes())));
    }
    if let Ok(digits) = object.cast::<PyString>() {
        let digest = digits.to_str()?.parse::<Digest>();
        return digest.map(Some).map_err(|error| PyValueError::new_err(format!("{name}: {error}")));
    }
    let given = type_name(object);
    Err(PyTypeError::new_err(format!("{name} must be bytes, or a str of hexadecimal digits, not {given}")))
}

fn content(object: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Content>> {
    let Some(object) = object else { return Ok(None) };
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Some(Content::from(text.to_str()?)));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Some(Content::from(bytes.as_bytes().to_vec())));
    }
    Err(PyTypeError::new_err(format!("content must be a str or bytes, not {}", type_name(object))))
}

fn metadata(object: Option<&Bound<'_, PyAny>>) -> PyResult<BTreeMap<String, String>> {
    let Some(object) = object else { return Ok(BTreeMap::new()) };
    let Ok(mapping) = object.cast::<PyMapping>() else {
        return Err(PyTypeError::new_err(format!("metadata must be a mapping, not {}", type_name(object))));
    };
    let pairs = mapping.items()?;
    let pair = |pair: Bound<'_, PyAny>| {
        let (key, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        Ok((text("a key of metadata", &key)?, text("a value of metadata", &value)?))
    };
    pairs.iter().map(pair).collect()
}

/// What may be there besides the paths.
#[derive(Default)]
struct Rest<'a, 'py> {
    before: Option<&'a Bound<'py, PyAny>>,
    after: Option<&'a Bound<'py, PyAny>>,
    content: Option<&'a Bound<'py, PyAny>>,
    recorder: Option<&'a Bound<'py, PyAny>>,
    metadata: Option<&'a Bound<'py, PyAny>>,
}

impl Change {
    fn finished(mut change: tierstack::Change, rest: Rest<'_, '_>) -> PyResult<Self> {
        let Rest { before, after, content: given, recorder, metadata: given_metadata } = rest;
        change = change.with_digests(digest("before", before)?, digest("after", after)?);
        if let Some(content) = content(given)? {
            change = change.with_content(content);
        }
        if let Some(recorder) = recorder {
            change = change.by(text("recorder", recorder)?);
        }
        change.metadata = metadata(given_metadata)?;
        Ok(Self(Arc::new(change)))
    }
}

pub fn digest_bytes<'py>(py: Python<'py>, digest: Option<&Digest>) -> Option<Bound<'py, PyBytes>> {
    digest.map(|digest| PyBytes::new(py, digest.as_bytes()))
}

pub fn content_object<'py>(py: Python<'py>, content: Option<&Content>) -> Option<Bound<'py, PyAny>> {
    content.map(|content| match content {
        Content::Text(text) => PyString::new(py, text).into_any(),
        Content::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
    })
}

pub fn repr_of(py: Python<'_>, text: &str) -> PyResult<String> {
    Ok(PyString::new(py, text).repr()?.to_string_lossy().into_owned())
}

#[pymethods]
impl Change {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("path", "operation")
    }

    #[new]
    #[pyo3(signature = (path, operation, *, from_path=None, before=None, after=None, content=None, recorder=None, metadata=None))]
    #[allow(clippy::too_many_arguments, reason = "by name, in Python")]
    fn __new__(
        path: &Bound<'_, PyAny>,
        operation: &Bound<'_, PyAny>,
        from_path: Option<&Bound<'_, PyAny>>,
        before: Option<&Bound<'_, PyAny>>,
        after: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        recorder: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (path, name) = (text("path", path)?, text("operation", operation)?);
        let from = from_path.map(|from| text("from_path", from)).transpose()?;
        let change = match (name.as_str(), from) {
            ("create", None) => tierstack::Change::create(path, None),
            ("modify", None) => tierstack::Change::modify(path, None, None),
            ("delete", None) => tierstack::Change::delete(path, None),
            ("rename", Some(from)) => tierstack::Change::rename(from, path),
            ("rename", None) => return Err(PyValueError::new_err("a rename needs a from_path")),
            ("create" | "modify" | "delete", Some(_)) => {
                return Err(PyValueError::new_err(format!("from_path is for a rename, not for {name:?}")));
            }
            _ => return Err(PyValueError::new_err(format!("{name:?} is not an Operation"))),
        };
        Self::finished(change, Rest { before, after, content, recorder, metadata })
    }

    /// The creation of a file.
    #[staticmethod]
    #[pyo3(signature = (path, *, after=None, content=None, recorder=None, metadata=None))]
    fn create(
        path: &Bound<'_, PyAny>,
        after: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        recorder: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let change = tierstack::Change::create(text("path", path)?, None);
        Self::finished(change, Rest { after, content, recorder, metadata, ..Rest::default() })
    }

    /// A modification of a file's content.
    #[staticmethod]
    #[pyo3(signature = (path, *, before=None, after=None, content=None, recorder=None, metadata=None))]
    fn modify(
        path: &Bound<'_, PyAny>,
        before: Option<&Bound<'_, PyAny>>,
        after: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        recorder: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let change = tierstack::Change::modify(text("path", path)?, None, None);
        Self::finished(change, Rest { before, after, content, recorder, metadata })
    }

    /// The deletion of a file.
    #[staticmethod]
    #[pyo3(signature = (path, *, before=None, recorder=None, metadata=None))]
    fn delete(
        path: &Bound<'_, PyAny>,
        before: Option<&Bound<'_, PyAny>>,
        recorder: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let change = tierstack::Change::delete(text("path", path)?, None);
        Self::finished(change, Rest { before, recorder, metadata, ..Rest::default() })
    }

    /// A file that moves to another path. If ``before`` and ``after`` differ, its content changes as well.
    #[staticmethod]
    #[pyo3(signature = (from_path, path, *, before=None, after=None, content=None, recorder=None, metadata=None))]
    #[allow(clippy::too_many_arguments, reason = "by name, in Python")]
    fn rename(
        from_path: &Bound<'_, PyAny>,
        path: &Bound<'_, PyAny>,
        before: Option<&Bound<'_, PyAny>>,
        after: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        recorder: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let change = tierstack::Change::rename(text("from_path", from_path)?, text("path", path)?);
        Self::finished(change, Rest { before, after, content, recorder, metadata })
    }

    /// Its path.
    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    /// What it does.
    #[getter]
    fn operation(&self, py: Python<'_>) -> Py<PyAny> {
        imports::operation_of(py, &self.0.operation)
    }

    /// For a rename, where the file stood.
    #[getter]
    fn from_path(&self) -> Option<&str> {
        match &self.0.operation {
            Operation::Rename { from } => Some(from),
            _ => None,
        }
    }

    /// The digest of the content before.
    #[getter]
    fn before<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        digest_bytes(py, self.0.before.as_ref())
    }

    /// The digest of the content after.
    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        digest_bytes(py, self.0.after.as_ref())
    }

    /// What stands there after.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        content_object(py, self.0.content.as_ref())
    }

    /// Whose change it is.
    #[getter]
    fn recorder(&self) -> Option<&str> {
        self.0.recorder.as_deref()
    }

    /// Anything else, as text. A copy.
    #[getter]
    fn metadata(&self) -> BTreeMap<String, String> {
        self.0.metadata.clone()
    }

    /// The change in the JSON of the Rust crate, as dictionaries, lists and texts. What is absent is left out.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (change, dict) = (&*self.0, PyDict::new(py));
        dict.set_item("path", &change.path)?;
        match &change.operation {
            Operation::Create => dict.set_item("operation", "create")?,
            Operation::Modify => dict.set_item("operation", "modify")?,
            Operation::Delete => dict.set_item("operation", "delete")?,
            Operation::Rename { from } => {
                let (rename, operation) = (PyDict::new(py), PyDict::new(py));
                rename.set_item("from", from)?;
                operation.set_item("rename", rename)?;
                dict.set_item("operation", operation)?;
            }
        }
        for (name, digest) in [("before", &change.before), ("after", &change.after)] {
            if let Some(digest) = digest {
                dict.set_item(name, digest.to_string())?;
            }
        }
        if let Some(content) = &change.content {
            let written = PyDict::new(py);
            match content {
                Content::Text(text) => written.set_item("text", text)?,
                Content::Bytes(bytes) => written.set_item("bytes", Digest::from(&**bytes).to_string())?,
            }
            dict.set_item("content", written)?;
        }
        if let Some(recorder) = &change.recorder {
            dict.set_item("recorder", recorder)?;
        }
        if !change.metadata.is_empty() {
            dict.set_item("metadata", &change.metadata)?;
        }
        Ok(dict)
    }

    /// Reads what ``to_dict`` has written. Raises ``ValueError`` for anything else.
    #[staticmethod]
    fn from_dict(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(mapping) = data.cast::<PyMapping>() else {
            return Err(PyTypeError::new_err(format!("data must be a mapping, not {}", type_name(data))));
        };
        // By way of the text: the crate says what is read.
        let plain = PyDict::new(data.py());
        for pair in mapping.items()?.iter() {
            let (key, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            plain.set_item(key, value)?;
        }
        let no_change = |error: &dyn std::fmt::Display| PyValueError::new_err(format!("this is no change: {error}"));
        let written = data.py().import("json")?.call_method1("dumps", (plain,)).map_err(|error| no_change(&error))?;
        let change = serde_json::from_str(written.cast::<PyString>()?.to_str()?);
        change.map(|change| Self(Arc::new(change))).map_err(|error| no_change(&error))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let change = &*self.0;
        let path = repr_of(py, &change.path)?;
        let mut repr = match &change.operation {
            Operation::Create if change.before.is_none() => format!("Change.create({path}"),
            Operation::Modify => format!("Change.modify({path}"),
            Operation::Delete if change.after.is_none() && change.content.is_none() => format!("Change.delete({path}"),
            Operation::Rename { from } => format!("Change.rename({}, {path}", repr_of(py, from)?),
            // With more than is usual.
            Operation::Create => format!("Change({path}, 'create'"),
            Operation::Delete => format!("Change({path}, 'delete'"),
        };
        for (name, digest) in [("before", &change.before), ("after", &change.after)] {
            if let Some(digest) = digest {
                repr += &format!(", {name}={}", repr_of(py, &digest.to_string())?);
            }
        }
        if let Some(content) = content_object(py, change.content.as_ref()) {
            repr += &format!(", content={}", content.repr()?.to_string_lossy());
        }
        if let Some(recorder) = &change.recorder {
            repr += &format!(", recorder={}", repr_of(py, recorder)?);
        }
        if !change.metadata.is_empty() {
            let metadata = (&change.metadata).into_pyobject(py)?;
            repr += &format!(", metadata={}", metadata.repr()?.to_string_lossy());
        }
        Ok(repr + ")")
    }

    fn __hash__(&self) -> u64 {
        let tierstack::Change { path, operation, before, after, content, recorder, metadata, .. } = &*self.0;
        hash(&(path, operation, before, after, content, recorder, metadata))
    }

    fn __copy__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: PyRef<'py, Self>, _memo: &Bound<'py, PyAny>) -> PyRef<'py, Self> {
        slf
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((slf.get_type().getattr("from_dict")?, (slf.get().to_dict(slf.py())?,)))
    }
}
