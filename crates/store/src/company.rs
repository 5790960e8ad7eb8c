//! Companies, their environments and licences.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::agent::BACKGROUND_NAME;
use sallyport_domain::licence::Tier;
use sallyport_protocol::{AgentId, CompanyId, EnvironmentId, LogLevel, Timestamp, UserId};

use crate::error::taken;
use crate::page::{Filter, Listing, fetch};
use crate::row::{Micros, Rank, Text};
use crate::{Error, ListRequest, Page, Store};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Its name.
    pub name: String,
    /// What it has bought.
    pub tier: Tier,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An isolated space of a company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Whose it is.
    pub company: CompanyId,
    /// Unique in the company.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What the first start makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// The company's name.
    pub company: String,
    /// The environment's name.
    pub environment: String,
    /// The first administrator's name; the person sets e-mail and password later.
    pub administrator: String,
    /// Now.
    pub now: Timestamp,
}

const COMPANIES: Listing = Listing {
    columns: "c.*",
    from: "company c",
    id: "c.id",
    sorts: &[("name", "c.name"), ("created_at", "c.created_at")],
    default_sort: "name",
};

const ENVIRONMENTS: Listing = Listing {
    columns: "e.*",
    from: "environment e",
    id: "e.id",
    sorts: &[("name", "e.name"), ("created_at", "e.created_at")],
    default_sort: "created_at",
};

impl Store {
    /// Makes company, environment, background agent and first administrator, once: `None` when there is a company.
    pub async fn initialise(&self, first: First) -> Result<Option<UserId>, Error> {
        self.write(move |sql| {
            let companies: i64 = sql.query_row("SELECT count(*) FROM company", [], |row| row.get(0))?;
            if companies > 0 {
                return Ok(None);
            }
            let company = CompanyId::new();
            sql.execute(
                "INSERT INTO company(id, name, tier, created_at) VALUES (?, ?, ?, ?)",
                params![Text(company), first.company, Text(Tier::Trial), Micros(first.now)],
            )?;
            insert_environment(sql, company, &first.environment, first.now)?;
            let person = UserId::new();
            sql.execute(
                "INSERT INTO person(id, company, name, created_at) VALUES (?, ?, ?, ?)",
                params![Text(person), Text(company), first.administrator, Micros(first.now)],
            )?;
            Ok(Some(person))
        })
        .await
    }

    /// Adds an environment with its background agent.
    pub async fn create_environment(
        &self,
        company: CompanyId,
        name: &str,
        now: Timestamp,
    ) -> Result<Environment, Error> {
        let name = name.to_owned();
        self.write(move |sql| insert_environment(sql, company, &name, now)).await
    }

    /// A company.
    pub async fn company(&self, id: CompanyId) -> Result<Company, Error> {
        self.read(move |sql| find_company(sql, id)).await
    }

    /// The companies a person of `company` may see: their own.
    pub async fn companies(&self, company: CompanyId, request: ListRequest) -> Result<Page<Company>, Error> {
        let filter = Filter::new("c.id = ?", company.to_string());
        self.list(move |sql| fetch(sql, &COMPANIES, &filter, &request, company_row)).await
    }

    /// Every company of the installation, the oldest first.
    pub async fn all_companies(&self) -> Result<Vec<Company>, Error> {
        self.read(|sql| {
            let mut statement = sql.prepare("SELECT * FROM company ORDER BY created_at, id")?;
            let rows = statement.query_map([], company_row)?.collect::<rusqlite::Result<_>>()?;
            Ok(rows)
        })
        .await
    }

    /// Every environment of the installation, the oldest first.
    pub async fn all_environments(&self) -> Result<Vec<Environment>, Error> {
        self.read(|sql| {
            let mut statement = sql.prepare_cached("SELECT * FROM environment ORDER BY created_at, id")?;
            let rows = statement.query_map([], environment_row)?.collect::<rusqlite::Result<_>>()?;
            Ok(rows)
        })
        .await
    }

    /// The environments of a company.
    pub async fn environments(&self, company: CompanyId, request: ListRequest) -> Result<Page<Environment>, Error> {
        let filter = Filter::new("e.company = ?", company.to_string());
        self.list(move |sql| fetch(sql, &ENVIRONMENTS, &filter, &request, environment_row)).await
    }

    /// An environment of the company by id or name; without either the oldest.
    pub async fn environment(&self, company: CompanyId, id_or_name: Option<&str>) -> Result<Environment, Error> {
        let wanted = id_or_name.map(ToOwned::to_owned);
        self.read(move |sql| {
            sql.prepare_cached(
                "SELECT * FROM environment WHERE company = ?1 AND (?2 IS NULL OR id = ?2 OR name = ?2) \
                 ORDER BY created_at, id LIMIT 1",
            )?
            .query_row(params![Text(company), wanted], environment_row)
            .optional()?
            .ok_or(Error::NotFound)
        })
        .await
    }

    /// Sets what a company has bought; by name or id, or the only one. Answers with the company as it is now.
    pub async fn set_tier(&self, company: Option<&str>, tier: Tier) -> Result<Company, Error> {
        let company = company.map(ToOwned::to_owned);
        self.write(move |sql| {
            let mut statement =
                sql.prepare("SELECT id FROM company WHERE ?1 IS NULL OR name = ?1 OR id = ?1 LIMIT 2")?;
            let rows = statement.query_map(params![company], |row| Ok(row.get::<_, Text<CompanyId>>(0)?.0))?;
            let found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let id = match found.as_slice() {
                [] => return Err(Error::NotFound),
                [id] => *id,
                _ => return Err(Error::Ambiguous),
            };
            sql.execute("UPDATE company SET tier = ? WHERE id = ?", params![Text(tier), Text(id)])?;
            find_company(sql, id)
        })
        .await
    }
}

pub(crate) fn find_company(sql: &Sqlite, id: CompanyId) -> Result<Company, Error> {
    sql.prepare_cached("SELECT * FROM company WHERE id = ?")?
        .query_row(params![Text(id)], company_row)
        .optional()?
        .ok_or(Error::NotFound)
}

/// The company that owns an environment.
pub(crate) fn company_of(sql: &Sqlite, environment: EnvironmentId) -> Result<CompanyId, Error> {
    sql.prepare_cached("SELECT company FROM environment WHERE id = ?")?
        .query_row(params![Text(environment)], |row| Ok(row.get::<_, Text<CompanyId>>(0)?.0))
        .optional()?
        .ok_or(Error::NotFound)
}

fn insert_environment(sql: &Sqlite, company: CompanyId, name: &str, now: Timestamp) -> Result<Environment, Error> {
    let id = EnvironmentId::new();
    taken(
        sql.execute(
            "INSERT INTO environment(id, company, name, created_at) VALUES (?, ?, ?, ?)",
            params![Text(id), Text(company), name, Micros(now)],
        ),
        "environment name",
    )?;
    sql.execute(
        "INSERT INTO agent(id, company, environment, name, kind, file_level, console_level, created_at, updated_at) \
         VALUES (?, ?, ?, ?, 'background', ?5, ?5, ?6, ?6)",
        params![Text(AgentId::new()), Text(company), Text(id), BACKGROUND_NAME, Rank(LogLevel::Info), Micros(now)],
    )?;
    Ok(Environment { id, company, name: name.to_owned(), created_at: now })
}

fn company_row(row: &Row<'_>) -> rusqlite::Result<Company> {
    Ok(Company {
        id: row.get::<_, Text<_>>("id")?.0,
        name: row.get("name")?,
        tier: row.get::<_, Text<_>>("tier")?.0,
        created_at: row.get::<_, Micros>("created_at")?.0,
    })
}

fn environment_row(row: &Row<'_>) -> rusqlite::Result<Environment> {
    Ok(Environment {
        id: row.get::<_, Text<_>>("id")?.0,
        company: row.get::<_, Text<_>>("company")?.0,
        name: row.get("name")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
    })
}
