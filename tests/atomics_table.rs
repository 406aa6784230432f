//! The documentation's table of atomics has a row for each atomic in the sources, and no other; and models are named as they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Fields, ItemMod, ItemStatic, ItemStruct, Type};

/// The atomics that a file declares, as the table names them: `file` `Type.field`, or `file` `STATIC`.
struct Declared<'a> {
    file: &'a str,
    found: BTreeSet<String>,
}

/// Whether a type is an atomic, or has one in it.
fn has_atomic(found: &Type) -> bool {
    struct Search(bool);

    impl Visit<'_> for Search {
        fn visit_ident(&mut self, ident: &syn::Ident) {
            self.0 |= ident.to_string().starts_with("Atomic");
        }
    }

    let mut search = Search(false);
    search.visit_type(found);
    search.0
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let mut tokens = list.tokens.to_string();
                tokens.retain(|c| !c.is_whitespace());
                tokens == "test" || tokens.starts_with("all(test,")
            })
    })
}

impl Visit<'_> for Declared<'_> {
    fn visit_item_mod(&mut self, module: &ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_struct(&mut self, item: &ItemStruct) {
        let fields = match &item.fields {
            Fields::Named(fields) => &fields.named,
            Fields::Unnamed(fields) => &fields.unnamed,
            Fields::Unit => return,
        };
        for (number, field) in fields.iter().enumerate().filter(|(_, field)| has_atomic(&field.ty)) {
            let field = field.ident.as_ref().map_or_else(|| number.to_string(), ToString::to_string);
            self.found.insert(format!("`{}` `{}.{field}`", self.file, item.ident));
        }
    }

    fn visit_item_static(&mut self, item: &ItemStatic) {
        if has_atomic(&item.ty) {
            self.found.insert(format!("`{}` `{}`", self.file, item.ident));
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "tests" {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && path.file_stem().unwrap() != "tests" {
            found.push(path);
        }
    }
}

fn declared(file: &str, source: &str) -> BTreeSet<String> {
    let mut declared = Declared { file, found: BTreeSet::new() };
    declared.visit_file(&syn::parse_file(source).unwrap());
    declared.found
}

/// The first cells of the table's rows. The others say something, each.
fn rows(table: &str) -> BTreeSet<String> {
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let first = |row: &str| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        cells[0].to_owned()
    };
    rows.map(first).collect()
}

#[test]
fn every_atomic_has_a_row_and_every_row_an_atomic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 30, "these are the sources");
    let mut found = BTreeSet::new();
    for path in paths {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        found.extend(declared(&name, &fs::read_to_string(&path).unwrap()));
    }
    let table = rows(&fs::read_to_string(root.join("docs/atomics.md")).unwrap());
    let without_row: Vec<_> = found.difference(&table).collect();
    let without_atomic: Vec<_> = table.difference(&found).collect();
    assert!(without_row.is_empty(), "no row for {without_row:?}");
    assert!(without_atomic.is_empty(), "no atomic for {without_atomic:?}");
}

/// The models that a row's last cell names.
fn models(row: &str) -> Vec<&str> {
    let checks = row.trim_matches('|').rsplit('|').next().unwrap();
    let named = checks.split(';').filter_map(|check| check.trim().strip_prefix("`loom-tests` "));
    // What a model leaves out comes last.
    named.flat_map(|models| models.split(", ").take_while(|model| !model.starts_with("without"))).collect()
}

#[test]
fn models_are_named_as_their_files_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("loom-tests").exists() {
        // A published crate has them not.
        return;
    }
    let table = fs::read_to_string(root.join("src/docs/atomics.md")).unwrap();
    let named: BTreeSet<_> = table.lines().filter(|line| line.starts_with("| `")).flat_map(models).collect();
    assert!(named.len() > 5, "{named:?}");
    for model in named {
        assert!(root.join(format!("loom-tests/tests/{}.rs", model.trim())).exists(), "no models of that name: {model}");
    }
    // The outline has each file of models, and no other.
    let outline = fs::read_to_string(root.join("src/docs/proof.md")).unwrap();
    let (_, outline) = outline.split_once("## The models").unwrap();
    let described: BTreeSet<_> =
        outline.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect();
    let files: Vec<_> = fs::read_dir(root.join("loom-tests/tests")).unwrap().map(|file| file.unwrap().path()).collect();
    let files: BTreeSet<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(described, files);
}

#[test]
fn atomics_are_found_wherever_they_are_declared() {
    let source = "
        static A: AtomicU64 = AtomicU64::new(0);
        struct B { plain: u64, deep: Padded<[core::sync::atomic::AtomicPtr<u8>; 4]> }
        struct C(u8, AtomicUsize);
        mod inner { thread_local! {} struct D { word: AtomicI64 } }
        #[cfg(test)]
        mod tests { static E: AtomicU64 = AtomicU64::new(0); }
    ";
    let found = declared("x.rs", source);
    assert!(found.iter().eq(["`x.rs` `A`", "`x.rs` `B.deep`", "`x.rs` `C.1`", "`x.rs` `D.word`"]));
}
