//! Which directories are searched.

use std::{
    collections::{HashMap, HashSet},
    env, fs, io,
    path::{Path, PathBuf},
};

use crate::format::printable;

/// The directories to walk.
pub struct Roots {
    /// What the paths of fragments are relative to.
    pub base: PathBuf,
    /// What to walk: the base itself, or some of its folders.
    pub dirs: Vec<PathBuf>,
    /// Whether ignore files count. In a registry they are part of what is searched, not of a project at hand.
    pub ignore_files: bool,
}

impl Roots {
    pub fn describe(&self) -> String {
        let base = printable(&self.base.display().to_string());
        if self.dirs == [self.base.as_path()] { base } else { format!("{} crates in {base}", self.dirs.len()) }
    }
}

/// The directory that was asked for, or the sources of the crates that this one depends on.
pub fn roots(dir: Option<&Path>) -> Result<Roots, String> {
    let Some(dir) = dir else { return dependencies() };
    let shown = printable(&dir.display().to_string());
    match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("there is no directory {shown}")),
        Ok(found) if !found.is_dir() => Err(format!("{shown} is not a directory")),
        found => {
            found.map(drop).and_then(|()| fs::read_dir(dir).map(drop)).map_err(|e| format!("cannot read {shown}: {e}"))
        }
    }?;
    Ok(Roots { base: dir.to_owned(), dirs: vec![dir.to_owned()], ignore_files: true })
}

/// Cargo unpacks each crate that it builds into `registry/src/<registry>/<name>-<version>` of its home.
fn dependencies() -> Result<Roots, String> {
    let missing = |what: String| format!("{what}; name a directory to search instead");
    let lock = lock_file().ok_or_else(|| missing("there is no Cargo.lock beside the crate or above it".to_owned()))?;
    let text = fs::read_to_string(&lock).map_err(|e| missing(format!("cannot read {}: {e}", lock.display())))?;
    let wanted = locked_dependencies(&text, env!("CARGO_PKG_NAME"));

    let registries = cargo_home().ok_or_else(|| missing("there is no home directory".to_owned()))?.join("registry/src");
    let shown = printable(&registries.display().to_string());
    let folders = fs::read_dir(&registries)
        .map_err(|error| missing(format!("cannot read {shown}, where cargo keeps sources: {error}")))?;
    let found = folders.flatten().map(|registry| {
        let dirs: Vec<_> = wanted.iter().map(|krate| registry.path().join(krate)).filter(|dir| dir.is_dir()).collect();
        (registry.path(), dirs)
    });
    // A registry and its mirrors have a folder each; the fullest is the one that builds use.
    match found.max_by_key(|(base, dirs)| (dirs.len(), base.clone())) {
        Some((base, dirs)) if !dirs.is_empty() => Ok(Roots { base, dirs, ignore_files: false }),
        _ => Err(missing(format!("no sources of this crate's dependencies are in {shown} (are they vendored?)"))),
    }
}

fn lock_file() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("Cargo.lock")).find(|file| file.is_file())
}

fn cargo_home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    set.or_else(|| env::home_dir().map(|home| home.join(".cargo")))
}

/// `name-version` of each package that `package` depends on, however far down, that comes from a registry. Sorted.
fn locked_dependencies(lock: &str, package: &str) -> Vec<String> {
    let packages: Vec<_> = lock.split("[[package]]").skip(1).map(Locked::parse).collect();
    let mut by_name: HashMap<&str, Vec<&Locked<'_>>> = HashMap::new();
    for package in &packages {
        by_name.entry(package.name).or_default().push(package);
    }
    let mut seen = HashSet::new();
    let mut open: Vec<_> = by_name.get(package).into_iter().flatten().copied().collect();
    while let Some(package) = open.pop() {
        for dependency in &package.dependencies {
            // `name`, or `name version` where there are several, or `name version (source)`.
            let mut parts = dependency.split(' ');
            let (name, version) = (parts.next().unwrap_or_default(), parts.next());
            let matching = by_name.get(name).into_iter().flatten();
            for &found in matching.filter(|found| version.is_none_or(|version| version == found.version)) {
                if seen.insert((found.name, found.version)) {
                    open.push(found);
                }
            }
        }
    }
    let from_registry = packages.iter().filter(|p| p.registry && seen.contains(&(p.name, p.version)));
    let mut names: Vec<_> = from_registry.map(|package| format!("{}-{}", package.name, package.version)).collect();
    names.sort();
    names
}

/// A `[[package]]` of a lock file.
#[derive(Default)]
struct Locked<'l> {
    name: &'l str,
    version: &'l str,
    registry: bool,
    dependencies: Vec<&'l str>,
}

impl<'l> Locked<'l> {
    fn parse(table: &'l str) -> Self {
        let mut package = Self::default();
        for line in table.lines() {
            let quoted = line.split('"').nth(1).unwrap_or_default();
            match line.split_once(" = ") {
                Some(("name", _)) => package.name = quoted,
                Some(("version", _)) => package.version = quoted,
                Some(("source", _)) => {
                    package.registry = quoted.starts_with("registry+") || quoted.starts_with("sparse+");
                }
                None if line.starts_with(' ') => package.dependencies.push(quoted),
                _ => {}
            }
        }
        package
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_crate_depends_on_is_taken() {
        let package = |name: &str, version: &str, registry: bool, dependencies: &str| {
            let source =
                if registry { "source = \"registry+https://example.org/index\"\nchecksum = \"00\"\n" } else { "" };
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}dependencies = [\n{dependencies}]\n\n"
            )
        };
        let lock = [
            "version = 4\n\n".to_owned(),
            package("mine", "0.1.0", false, " \"direct\",\n \"twice 2.0.0\",\n \"sibling\",\n"),
            package("direct", "1.0.0", true, " \"deep\",\n"),
            package("deep", "0.3.1", true, " \"direct\",\n"),
            package("twice", "1.0.0", true, ""),
            package("twice", "2.0.0", true, ""),
            package("sibling", "0.1.0", false, ""),
            package("other", "0.1.0", false, " \"unrelated\",\n"),
            package("unrelated", "1.0.0", true, ""),
        ]
        .concat();
        assert_eq!(locked_dependencies(&lock, "mine"), ["deep-0.3.1", "direct-1.0.0", "twice-2.0.0"]);
        assert!(locked_dependencies(&lock, "absent").is_empty());
        assert!(locked_dependencies("no lock file", "mine").is_empty());
    }
}
