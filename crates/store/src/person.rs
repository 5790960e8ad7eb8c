//! People, their logins and API tokens. Tokens are known by their keyed hashes only.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_protocol::{CompanyId, EnvironmentId, Timestamp, TokenId, UserId};

use crate::error::taken;
use crate::page::{Filter, Listing, fetch};
use crate::row::{Micros, Text};
use crate::{Error, ListRequest, Page, Store};

/// Somebody who can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// Whose user they are.
    pub company: CompanyId,
    /// Their name.
    pub name: String,
    /// Absent until the set-up is done.
    pub email: Option<String>,
    /// A PHC string; absent until the set-up is done.
    pub password_hash: Option<String>,
    /// Inactive people cannot log in.
    pub active: bool,
    /// When they were made.
    pub created_at: Timestamp,
}

/// A login to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The keyed hash of its token.
    pub hash: Vec<u8>,
    /// Who.
    pub person: UserId,
    /// Now.
    pub now: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An API token as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// The environment it is good for.
    pub environment: EnvironmentId,
    /// What the owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

/// An API token to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its keyed hash.
    pub hash: Vec<u8>,
    /// Whose.
    pub person: UserId,
    /// The environment it is good for.
    pub environment: EnvironmentId,
    /// What the owner calls it.
    pub name: String,
    /// Now.
    pub now: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
}

/// Who a bearer token belongs to.
#[derive(Clone)]
pub struct TokenLogin {
    /// Who.
    pub person: Person,
    /// Absent for a login.
    pub api_token: Option<TokenUse>,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
}

/// An API token that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// Its id.
    pub id: TokenId,
    /// The one environment it is good for.
    pub environment: EnvironmentId,
    /// When it was shown last, as far as that was written down.
    pub last_used_at: Option<Timestamp>,
}

const TOKENS: Listing = Listing {
    columns: "t.*",
    from: "api_token t",
    id: "t.id",
    sorts: &[("name", "t.name"), ("created_at", "t.created_at")],
    default_sort: "name",
};

const PEOPLE: Listing = Listing {
    columns: "p.*",
    from: "person p",
    id: "p.id",
    sorts: &[("name", "p.name"), ("email", "coalesce(p.email, '')"), ("created_at", "p.created_at")],
    default_sort: "name",
};

impl Store {
    /// The people of a company.
    pub async fn people(&self, company: CompanyId, request: ListRequest) -> Result<Page<Person>, Error> {
        let filter = Filter::new("p.company = ?", company.to_string());
        self.list(move |sql| fetch(sql, &PEOPLE, &filter, &request, person_row)).await
    }

    /// The active person with this e-mail address.
    pub async fn person_by_email(&self, email: &str) -> Result<Person, Error> {
        let email = email.to_owned();
        self.read(move |sql| {
            sql.query_row("SELECT * FROM person WHERE email = ? AND active", [email], person_row)
                .optional()?
                .ok_or(Error::NotFound)
        })
        .await
    }

    /// Records a one-time token; earlier ones for the same purpose and person stop working.
    pub async fn create_one_time_token(&self, purpose: &str, token: Login) -> Result<(), Error> {
        let purpose = purpose.to_owned();
        self.write(move |sql| {
            sql.execute(
                "DELETE FROM one_time_token WHERE person = ? AND purpose = ?",
                params![Text(token.person), purpose],
            )?;
            sql.execute(
                "INSERT INTO one_time_token(token_hash, company, person, purpose, created_at, expires_at) \
                 SELECT ?, company, id, ?, ?, ? FROM person WHERE id = ?",
                params![token.hash, purpose, Micros(token.now), Micros(token.expires_at), Text(token.person)],
            )?;
            Ok(())
        })
        .await
    }

    /// Whether a one-time token would be taken.
    pub async fn one_time_token_is_good(&self, purpose: &str, hash: Vec<u8>, now: Timestamp) -> Result<bool, Error> {
        let purpose = purpose.to_owned();
        self.read(move |sql| Ok(usable_token(sql, &purpose, &hash, now)?.is_some())).await
    }

    /// Takes a one-time token and gives its owner name, e-mail and password; once.
    pub async fn set_up_person(
        &self,
        purpose: &str,
        hash: Vec<u8>,
        now: Timestamp,
        (name, email, password_hash): (String, String, String),
    ) -> Result<Person, Error> {
        let purpose = purpose.to_owned();
        self.write(move |sql| {
            let person = usable_token(sql, &purpose, &hash, now)?.ok_or(Error::NotFound)?;
            sql.execute("UPDATE one_time_token SET used_at = ? WHERE token_hash = ?", params![Micros(now), hash])?;
            taken(
                sql.execute(
                    "UPDATE person SET name = ?, email = ?, password_hash = ? WHERE id = ?",
                    params![name, email, password_hash, Text(person)],
                ),
                "e-mail address",
            )?;
            // Whoever was logged in with an older password is not any more.
            sql.execute("DELETE FROM login_session WHERE person = ?", params![Text(person)])?;
            find_person(sql, person)
        })
        .await
    }

    /// A person who has not been set up yet.
    pub async fn person_without_password(&self) -> Result<Option<UserId>, Error> {
        self.read(|sql| {
            Ok(sql
                .query_row(
                    "SELECT id FROM person WHERE password_hash IS NULL AND active ORDER BY created_at LIMIT 1",
                    [],
                    |row| Ok(row.get::<_, Text<UserId>>(0)?.0),
                )
                .optional()?)
        })
        .await
    }

    /// The oldest active person: the first administrator.
    pub async fn first_person(&self) -> Result<Person, Error> {
        self.read(|sql| {
            sql.query_row("SELECT * FROM person WHERE active ORDER BY created_at, id LIMIT 1", [], person_row)
                .optional()?
                .ok_or(Error::NotFound)
        })
        .await
    }

    /// Records a login and forgets those that have ended.
    pub async fn create_login(&self, login: Login) -> Result<(), Error> {
        self.write(move |sql| {
            sql.execute("DELETE FROM login_session WHERE expires_at <= ?", params![Micros(login.now)])?;
            sql.execute(
                "INSERT INTO login_session(token_hash, company, person, created_at, expires_at) \
                 SELECT ?, company, id, ?, ? FROM person WHERE id = ?",
                params![login.hash, Micros(login.now), Micros(login.expires_at), Text(login.person)],
            )?;
            Ok(())
        })
        .await
    }

    /// Ends a login.
    pub async fn end_login(&self, hash: Vec<u8>) -> Result<(), Error> {
        self.write(move |sql| {
            sql.execute("DELETE FROM login_session WHERE token_hash = ?", [hash])?;
            Ok(())
        })
        .await
    }

    /// Who a login or API token belongs to, if it is good now.
    pub async fn token_login(&self, hash: Vec<u8>, now: Timestamp) -> Result<Option<TokenLogin>, Error> {
        self.read(move |sql| match login_of(sql, &hash, now)? {
            Some(login) => Ok(Some(login)),
            None => api_token_of(sql, &hash, now),
        })
        .await
    }

    /// Writes down that an API token was used.
    pub async fn note_token_use(&self, id: TokenId, now: Timestamp) -> Result<(), Error> {
        self.record(move |sql| {
            sql.execute(
                "UPDATE api_token SET last_used_at = ?1 WHERE id = ?2 AND coalesce(last_used_at, 0) < ?1",
                params![Micros(now), Text(id)],
            )?;
            Ok(())
        })
        .await
    }

    /// Records an API token.
    pub async fn create_token(&self, new: NewToken) -> Result<ApiToken, Error> {
        self.write(move |sql| {
            let id = TokenId::new();
            sql.execute(
                "INSERT INTO api_token(id, token_hash, company, environment, person, name, created_at, expires_at) \
                 SELECT ?, ?, company, ?, id, ?, ?, ? FROM person WHERE id = ?",
                params![
                    Text(id),
                    new.hash,
                    Text(new.environment),
                    new.name,
                    Micros(new.now),
                    new.expires_at.map(Micros),
                    Text(new.person)
                ],
            )?;
            Ok(ApiToken {
                id,
                environment: new.environment,
                name: new.name,
                created_at: new.now,
                expires_at: new.expires_at,
                last_used_at: None,
            })
        })
        .await
    }

    /// A person's tokens of an environment, revoked ones left out.
    pub async fn tokens(
        &self,
        environment: EnvironmentId,
        person: UserId,
        request: ListRequest,
    ) -> Result<Page<ApiToken>, Error> {
        let mut filter = Filter::new("t.person = ?", person.to_string());
        filter.and("t.environment = ?", environment.to_string()).always("t.revoked_at IS NULL");
        self.list(move |sql| fetch(sql, &TOKENS, &filter, &request, token_row)).await
    }

    /// Revokes a person's token.
    pub async fn revoke_token(
        &self,
        environment: EnvironmentId,
        person: UserId,
        id: TokenId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            let changed = sql.execute(
                "UPDATE api_token SET revoked_at = ? \
                 WHERE id = ? AND person = ? AND environment = ? AND revoked_at IS NULL",
                params![Micros(now), Text(id), Text(person), Text(environment)],
            )?;
            if changed == 0 { Err(Error::NotFound) } else { Ok(()) }
        })
        .await
    }
}

fn find_person(sql: &Sqlite, id: UserId) -> Result<Person, Error> {
    sql.query_row("SELECT * FROM person WHERE id = ?", params![Text(id)], person_row).optional()?.ok_or(Error::NotFound)
}

fn usable_token(sql: &Sqlite, purpose: &str, hash: &[u8], now: Timestamp) -> Result<Option<UserId>, Error> {
    Ok(sql
        .query_row(
            "SELECT person FROM one_time_token \
             WHERE token_hash = ? AND purpose = ? AND used_at IS NULL AND expires_at > ?",
            params![hash, purpose, Micros(now)],
            |row| Ok(row.get::<_, Text<UserId>>(0)?.0),
        )
        .optional()?)
}

fn login_of(sql: &Sqlite, hash: &[u8], now: Timestamp) -> Result<Option<TokenLogin>, Error> {
    Ok(sql
        .prepare_cached(
            "SELECT p.*, s.expires_at FROM login_session s JOIN person p ON p.id = s.person \
             WHERE s.token_hash = ? AND s.expires_at > ? AND p.active",
        )?
        .query_row(params![hash, Micros(now)], |row| {
            let expires_at = Some(row.get::<_, Micros>("expires_at")?.0);
            Ok(TokenLogin { person: person_row(row)?, api_token: None, expires_at })
        })
        .optional()?)
}

fn api_token_of(sql: &Sqlite, hash: &[u8], now: Timestamp) -> Result<Option<TokenLogin>, Error> {
    Ok(sql
        .prepare_cached(
            "SELECT p.*, t.id AS token, t.environment, t.expires_at, t.last_used_at FROM api_token t JOIN person p ON p.id = t.person \
             WHERE t.token_hash = ? AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?) \
             AND p.active",
        )?
        .query_row(params![hash, Micros(now)], |row| {
            let token = TokenUse {
                id: row.get::<_, Text<_>>("token")?.0,
                environment: row.get::<_, Text<_>>("environment")?.0,
                last_used_at: row.get::<_, Option<Micros>>("last_used_at")?.map(|at| at.0),
            };
            let expires_at = row.get::<_, Option<Micros>>("expires_at")?.map(|at| at.0);
            Ok(TokenLogin { person: person_row(row)?, api_token: Some(token), expires_at })
        })
        .optional()?)
}

fn person_row(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: row.get::<_, Text<_>>("id")?.0,
        company: row.get::<_, Text<_>>("company")?.0,
        name: row.get("name")?,
        email: row.get("email")?,
        password_hash: row.get("password_hash")?,
        active: row.get("active")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
    })
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    Ok(ApiToken {
        id: row.get::<_, Text<_>>("id")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        name: row.get("name")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
        expires_at: row.get::<_, Option<Micros>>("expires_at")?.map(|at| at.0),
        last_used_at: row.get::<_, Option<Micros>>("last_used_at")?.map(|at| at.0),
    })
}
