//! Asking the server's catalogue what types columns have.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::kind::Kind;
use super::wire::{Client, Described, Error, Row};

/// A column with the way its values pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub kind: Kind,
    /// The type's name, for logs.
    pub type_name: String,
}

/// A line of pg_type.
struct Type {
    name: String,
    class: char,
    category: char,
    element: u32,
    base: u32,
    modifier: i32,
}

/// Types that are not built in, by oid.
#[derive(Default)]
pub(crate) struct Types {
    known: HashMap<u32, Type>,
    labels: HashMap<u32, Arc<BTreeSet<String>>>,
}

/// Domains over domains over arrays of domains: more levels than anybody has.
const LEVELS_MAX: usize = 16;

impl Types {
    /// Looks up those of `oids` that are not built in, and what they are made of.
    pub(crate) fn load(client: &mut Client, oids: impl IntoIterator<Item = u32>) -> Result<Self, Error> {
        let mut types = Self::default();
        let mut wanted: BTreeSet<u32> = oids.into_iter().filter(|oid| Kind::builtin(*oid, -1).is_none()).collect();
        for _ in 0..LEVELS_MAX {
            if wanted.is_empty() {
                break;
            }
            let list = wanted.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let rows = client.simple(&format!(
                "select oid, pg_catalog.format_type(oid, null), typtype, typcategory, typelem, typbasetype, typtypmod \
                 from pg_catalog.pg_type where oid in ({list})"
            ))?;
            wanted.clear();
            for row in rows {
                let (oid, found) = Type::parse(&row).ok_or_else(|| Error::Protocol("a line of pg_type".into()))?;
                wanted.extend([found.element, found.base].into_iter().filter(|oid| *oid != 0));
                types.known.insert(oid, found);
            }
            wanted.retain(|oid| Kind::builtin(*oid, -1).is_none() && !types.known.contains_key(oid));
        }
        types.load_labels(client)?;
        Ok(types)
    }

    fn load_labels(&mut self, client: &mut Client) -> Result<(), Error> {
        let enums = self.known.iter().filter(|(_, known)| known.class == 'e').map(|(oid, _)| oid.to_string());
        let list = enums.collect::<Vec<_>>().join(",");
        if list.is_empty() {
            return Ok(());
        }
        let sql = format!("select enumtypid, enumlabel from pg_catalog.pg_enum where enumtypid in ({list})");
        let mut labels: HashMap<u32, BTreeSet<String>> = HashMap::new();
        for row in client.simple(&sql)? {
            let [Some(oid), Some(label)] = row.as_slice() else { continue };
            let oid = oid.parse().map_err(|_| Error::Protocol("a line of pg_enum".into()))?;
            labels.entry(oid).or_default().insert(label.clone());
        }
        self.labels = labels.into_iter().map(|(oid, labels)| (oid, Arc::new(labels))).collect();
        Ok(())
    }

    /// How values of a type pass.
    pub(crate) fn kind(&self, oid: u32, modifier: i32) -> Kind {
        self.kind_within(oid, modifier, LEVELS_MAX)
    }

    fn kind_within(&self, oid: u32, modifier: i32, levels: usize) -> Kind {
        if let Some(kind) = Kind::builtin(oid, modifier) {
            return kind;
        }
        let Some(found) = self.known.get(&oid).filter(|_| levels > 0) else { return Kind::Other };
        match found.class {
            'd' => self.kind_within(found.base, found.modifier, levels - 1),
            'e' => Kind::Enum(self.labels.get(&oid).cloned().unwrap_or_default()),
            _ if found.category == 'A' && found.element != 0 => {
                match self.kind_within(found.element, modifier, levels - 1) {
                    Kind::Other | Kind::Array(..) | Kind::OtherArray => Kind::OtherArray,
                    element => Kind::Array(Box::new(element), found.element),
                }
            }
            _ => Kind::Other,
        }
    }

    /// The type's name as SQL spells it.
    pub(crate) fn name(&self, oid: u32) -> String {
        self.known.get(&oid).map_or_else(|| format!("type {oid}"), |found| found.name.clone())
    }

    /// The columns of a statement.
    pub(crate) fn columns(&self, described: Vec<Described>) -> Vec<Column> {
        described
            .into_iter()
            .map(|column| Column {
                kind: self.kind(column.type_oid, column.modifier),
                type_name: self.name(column.type_oid),
                name: column.name,
            })
            .collect()
    }
}

impl Type {
    fn parse(row: &Row) -> Option<(u32, Self)> {
        let field = |at: usize| row.get(at).and_then(Option::as_deref);
        let letter = |at: usize| field(at).and_then(|text| text.chars().next());
        let found = Self {
            name: field(1)?.to_owned(),
            class: letter(2)?,
            category: letter(3)?,
            element: field(4)?.parse().ok()?,
            base: field(5)?.parse().ok()?,
            modifier: field(6)?.parse().ok()?,
        };
        Some((field(0)?.parse().ok()?, found))
    }
}
