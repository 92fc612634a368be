//! The calls that make, list and revoke keys, and that keep the snapshot in step with the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row, Transaction};

use super::table::{Entry, KeyTable};
use super::token::{self, Digest};
use super::{CreatedKey, Key, KeyError, KeyId, KeyLimits, KeyRouting, NewKey, Scope};
use crate::Ledger;
use crate::error::{Fault, LedgerError};
use crate::secret::Secret;

/// In the order that [`read_entry`] expects.
const SELECT: &str =
    "SELECT id, name, owner, digest, prefix, scope, created_ms, expires_ms, revoked_ms, last_used_ms,
    requests_per_minute, max_in_flight, models, store_prompts, routing FROM nova_keys ";

impl Ledger {
    /// Makes a key and stores its HMAC. It works in this process at once, in others after their next
    /// [`Self::refresh`].
    ///
    /// # Errors
    /// [`LedgerError::NameTaken`], [`LedgerError::Invalid`], and those of any call.
    pub async fn create_key(&self, new: &NewKey, now_ms: i64) -> Result<CreatedKey, LedgerError> {
        new.check(now_ms)?;
        let secret = token::generate(new.scope)?;
        let key = self.store_key(&secret, new, now_ms).await?;
        Ok(CreatedKey { key, secret })
    }

    /// Makes sure that a key whose text the operator chose (in a configuration) works as declared.
    ///
    /// A key of that text that is there already keeps its id and takes over name, limits and models; another
    /// key of that name, which is the one before a rotation, is revoked.
    ///
    /// # Errors
    /// [`LedgerError::Invalid`] where the text is no key's, or one that was revoked or has expired, and those of
    /// any call. Two declared keys must not share a name: the second would revoke the first.
    pub async fn declare_key(
        &self,
        secret: &Secret,
        new: &NewKey,
        now_ms: i64,
    ) -> Result<Arc<Key>, LedgerError> {
        new.check(now_ms)?;
        let text = secret.expose();
        if !token::is_well_formed(text) || !text.starts_with(new.scope.token_kind()) {
            let problem = format!(
                "of `{}` must be `{}` and 43 letters and digits\nhint: `novastack keys create` prints one that is",
                new.name,
                new.scope.token_kind()
            );
            return Err(LedgerError::Invalid { field: "key", problem });
        }
        self.refresh().await?;
        let known = match self.key_table().verify(text, now_ms) {
            Ok(known) if as_declared(&known, new) => return Ok(known),
            Ok(known) => Some(known),
            Err(KeyError::Revoked | KeyError::Expired) => {
                let problem =
                    format!("of `{}` was revoked or has expired\nhint: declare a new one", new.name);
                return Err(LedgerError::Invalid { field: "key", problem });
            }
            Err(_) => None,
        };
        match self.get_key(&new.name).await {
            Ok(namesake) if known.as_ref().is_none_or(|known| known.id != namesake.id) => {
                self.revoke_key(&namesake.id.to_string(), now_ms).await?;
            }
            Ok(_) | Err(LedgerError::NoSuchKey { .. }) => {}
            Err(error) => return Err(error),
        }
        match known {
            None => self.store_key(secret, new, now_ms).await,
            Some(known) => self.change_key(&known, new, secret).await,
        }
    }

    /// Gives a key the name, limits and models that are declared for it.
    async fn change_key(&self, known: &Key, new: &NewKey, secret: &Secret) -> Result<Arc<Key>, LedgerError> {
        let changed = Key {
            name: new.name.clone(),
            owner: new.owner.clone(),
            limits: new.limits,
            models: new.models.clone(),
            routing: new.routing.clone(),
            ..known.clone()
        };
        let entry = Entry::new(self.inner.hasher.digest(secret.expose()), changed);
        let key = Arc::clone(entry.key());
        self.inner
            .store
            .call("changing a declared key", async {
                let mut lease = self.inner.store.lease().await?;
                let mut transaction = lease.begin().await?;
                sqlx::query(
                    "UPDATE nova_keys SET name = $1, owner = $2, requests_per_minute = $3, max_in_flight = $4,
                    models = $5, store_prompts = $6, routing = $7 WHERE id = $8",
                )
                .bind(key.name.clone())
                .bind(key.owner.clone())
                .bind(key.limits.requests_per_minute.map(i64::from))
                .bind(key.limits.max_in_flight.map(i64::from))
                .bind(models_column(&key))
                .bind(key.limits.store_prompts.map(i64::from))
                .bind(routing_column(&key))
                .bind(key.id.to_string())
                .execute(&mut *transaction)
                .await?;
                count_change(&mut transaction).await?;
                transaction.commit().await?;
                lease.settle();
                Ok(())
            })
            .await?;
        self.put(entry).await;
        Ok(key)
    }

    /// Stores a key by its HMAC.
    async fn store_key(&self, secret: &Secret, new: &NewKey, now_ms: i64) -> Result<Arc<Key>, LedgerError> {
        let digest = self.inner.hasher.digest(secret.expose());
        let key = Key {
            id: KeyId::fresh(),
            name: new.name.clone(),
            owner: new.owner.clone(),
            prefix: token::prefix(secret.expose()).to_owned(),
            scope: new.scope,
            created_ms: now_ms,
            expires_ms: new.expires_ms,
            revoked_ms: None,
            last_used_ms: None,
            limits: new.limits,
            models: new.models.clone(),
            routing: new.routing.clone(),
        };
        let entry = Entry::new(digest, key);
        self.inner
            .store
            .call("creating a key", async {
                let mut lease = self.inner.store.lease().await?;
                let mut transaction = lease.begin().await?;
                let inserted = insert(&mut transaction, &digest, entry.key()).await;
                if let Err(sqlx::Error::Database(error)) = &inserted
                    && error.is_unique_violation()
                {
                    return Err(LedgerError::NameTaken { name: new.name.clone() }.into());
                }
                inserted?;
                count_change(&mut transaction).await?;
                transaction.commit().await?;
                lease.settle();
                Ok(())
            })
            .await?;
        let key = Arc::clone(entry.key());
        self.put(entry).await;
        Ok(key)
    }

    /// All keys, the newest first, as the store has them.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn list_keys(&self) -> Result<Vec<Arc<Key>>, LedgerError> {
        self.inner
            .store
            .call("listing the keys", async {
                let mut lease = self.inner.store.lease().await?;
                let entries = select_all(lease.connection()).await?;
                lease.settle();
                Ok(entries.iter().map(|entry| Arc::clone(entry.key())).collect())
            })
            .await
    }

    /// One key by its id, its name, its prefix, or its whole text. Of several keys with one name it is the
    /// one that is not revoked, else the newest.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchKey`], [`LedgerError::Ambiguous`], and those of any call.
    pub async fn get_key(&self, selector: &str) -> Result<Arc<Key>, LedgerError> {
        self.inner
            .store
            .call("looking up a key", async {
                let mut lease = self.inner.store.lease().await?;
                let entry = self.select_one(lease.connection(), selector).await?;
                lease.settle();
                Ok(Arc::clone(entry.key()))
            })
            .await
    }

    /// Revokes a key, chosen as in [`Self::get_key`]. When this returns, the key is refused in this process;
    /// others follow at their next [`Self::refresh`]. Revoking twice changes nothing and is no error.
    ///
    /// # Errors
    /// As [`Self::get_key`].
    pub async fn revoke_key(&self, selector: &str, now_ms: i64) -> Result<Arc<Key>, LedgerError> {
        let entry = self
            .inner
            .store
            .call("revoking a key", async {
                let mut lease = self.inner.store.lease().await?;
                let mut transaction = lease.begin().await?;
                let id = self.select_one(&mut transaction, selector).await?.key().id;
                let changed =
                    sqlx::query("UPDATE nova_keys SET revoked_ms = $1 WHERE id = $2 AND revoked_ms IS NULL")
                        .bind(now_ms)
                        .bind(id.to_string())
                        .execute(&mut *transaction)
                        .await?;
                if changed.rows_affected() > 0 {
                    count_change(&mut transaction).await?;
                }
                let entry = self.select_one(&mut transaction, &id.to_string()).await?;
                transaction.commit().await?;
                lease.settle();
                Ok(entry)
            })
            .await?;
        let key = Arc::clone(entry.key());
        self.put(entry).await;
        Ok(key)
    }

    /// The keys as this process knows them now. A request takes it once, or uses [`Self::authenticate`].
    pub fn key_table(&self) -> Arc<KeyTable> {
        self.inner.table.load_full()
    }

    /// Checks what a client presented against the snapshot: no allocation, no lock, no IO.
    ///
    /// # Errors
    /// [`KeyError::StoreAway`] instead of [`KeyError::Unknown`] while the last [`Self::refresh`] failed,
    /// because the key may have been made by another instance since. Keys that are in the snapshot go on
    /// working meanwhile.
    pub fn authenticate(&self, presented: &str, now_ms: i64) -> Result<Arc<Key>, KeyError> {
        match self.inner.table.load().verify(presented, now_ms) {
            Err(KeyError::Unknown) if self.is_stale() => Err(KeyError::StoreAway),
            verdict => verdict,
        }
    }

    /// Whether the last look at the store failed, so that the snapshot may be behind.
    pub fn is_stale(&self) -> bool {
        self.inner.stale.load(Ordering::Acquire)
    }

    /// Takes over what other instances changed; true when there was something. Costs one read of one row
    /// otherwise, so the gateway calls it every two seconds or so.
    ///
    /// # Errors
    /// Those of any call; the old snapshot stays, and [`Self::is_stale`] becomes true.
    pub async fn refresh(&self) -> Result<bool, LedgerError> {
        // One at a time, and never beside `put`: a table that was read before a change must not take the
        // place of one with it.
        let _turn = self.inner.turn.lock().await;
        let known = self.inner.table.load_full();
        let loaded = self
            .inner
            .store
            .call("reading the keys", async {
                let mut lease = self.inner.store.lease().await?;
                // The number first: keys that are newer than it are only read once more, keys that are older
                // would be missed.
                let version: i64 = sqlx::query_scalar("SELECT version FROM nova_key_changes WHERE id = 1")
                    .fetch_one(lease.connection())
                    .await?;
                let table = if version == known.version() {
                    None
                } else {
                    Some(known.next(version, select_all(lease.connection()).await?))
                };
                lease.settle();
                Ok(table)
            })
            .await;
        if self.inner.stale.swap(loaded.is_err(), Ordering::AcqRel) != loaded.is_err() {
            match &loaded {
                Ok(_) => tracing::info!("the store is back"),
                Err(error) => tracing::warn!(%error, "keys are answered from memory"),
            }
        }
        let Some(table) = loaded? else { return Ok(false) };
        self.inner.table.store(Arc::new(table));
        Ok(true)
    }

    /// Writes when keys were last used, for those used since the last call. Once a minute is enough, and once
    /// at the end.
    ///
    /// # Errors
    /// Those of any call; nothing is forgotten then.
    pub async fn save_last_used(&self) -> Result<usize, LedgerError> {
        let table = self.key_table();
        let uses = table.unsaved_uses();
        if uses.is_empty() {
            return Ok(0);
        }
        self.inner
            .store
            .call("noting when keys were used", async {
                let mut lease = self.inner.store.lease().await?;
                let mut transaction = lease.begin().await?;
                for (id, used_ms) in &uses {
                    sqlx::query(
                        "UPDATE nova_keys SET last_used_ms = $1 WHERE id = $2 AND (last_used_ms IS NULL OR last_used_ms < $1)",
                    )
                    .bind(*used_ms)
                    .bind(id.to_string())
                    .execute(&mut *transaction)
                    .await?;
                }
                transaction.commit().await?;
                lease.settle();
                Ok(())
            })
            .await?;
        table.mark_saved(&uses);
        Ok(uses.len())
    }

    /// Makes a change that the store has taken visible here, without asking the store again: it may be gone
    /// by now, and a revocation must hold.
    async fn put(&self, entry: Entry) {
        let _turn = self.inner.turn.lock().await;
        self.inner.table.store(Arc::new(self.inner.table.load().with(entry)));
    }

    async fn select_one(&self, connection: &mut AnyConnection, selector: &str) -> Result<Entry, Fault> {
        let (column, value) = if let Ok(id) = selector.parse::<KeyId>() {
            ("WHERE id = $1", id.to_string())
        } else if token::is_well_formed(selector) {
            ("WHERE digest = $1", crate::hex(&self.inner.hasher.digest(selector)))
        } else if token::looks_like_key(selector) {
            ("WHERE prefix = $1", token::prefix(selector).to_owned())
        } else {
            // No name has a NUL, and PostgreSQL refuses to look for one.
            ("WHERE name = $1", selector.replace('\0', "\u{fffd}"))
        };
        // `column` is one of the four literals above.
        let sql = format!(
            "{SELECT}{column} ORDER BY CASE WHEN revoked_ms IS NULL THEN 0 ELSE 1 END, created_ms DESC, id DESC"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(value).fetch_all(connection).await?;
        let mut entries = rows.iter().map(read_entry).collect::<Result<Vec<_>, _>>()?;
        let shown =
            if token::looks_like_key(selector) { token::prefix(selector) } else { selector }.to_owned();
        if column == "WHERE prefix = $1" && entries.len() > 1 {
            let names: Vec<_> = entries.iter().map(|entry| entry.key().name.as_str()).collect();
            return Err(LedgerError::Ambiguous { selector: shown, names: names.join(", ") }.into());
        }
        entries.truncate(1);
        entries.pop().ok_or_else(|| LedgerError::NoSuchKey { selector: shown }.into())
    }
}

async fn insert(
    transaction: &mut Transaction<'_, Any>,
    digest: &Digest,
    key: &Key,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO nova_keys (id, name, owner, digest, prefix, scope, created_ms, expires_ms, requests_per_minute, max_in_flight, models,
         store_prompts, routing)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(key.id.to_string())
    .bind(key.name.as_str())
    .bind(key.owner.clone())
    .bind(crate::hex(digest))
    .bind(key.prefix.as_str())
    .bind(key.scope.as_str())
    .bind(key.created_ms)
    .bind(key.expires_ms)
    .bind(key.limits.requests_per_minute.map(i64::from))
    .bind(key.limits.max_in_flight.map(i64::from))
    .bind(models_column(key))
    .bind(key.limits.store_prompts.map(i64::from))
    .bind(routing_column(key))
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// The models as the column holds them: a JSON list.
fn models_column(key: &Key) -> Option<String> {
    key.models.as_ref().map(|models| serde_json::Value::from(models.as_slice()).to_string())
}

/// What a key says of routing, as the column holds it: JSON, or nothing.
fn routing_column(key: &Key) -> Option<String> {
    let says = key.routing != KeyRouting::default();
    says.then(|| serde_json::to_string(&key.routing).ok()).flatten()
}

/// Whether a stored key is what the operator declared.
fn as_declared(known: &Key, new: &NewKey) -> bool {
    (&known.name, &known.owner, known.limits, &known.models, &known.routing)
        == (&new.name, &new.owner, new.limits, &new.models, &new.routing)
}

async fn count_change(transaction: &mut Transaction<'_, Any>) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE nova_key_changes SET version = version + 1 WHERE id = 1")
        .execute(&mut **transaction)
        .await
        .map(drop)
}

async fn select_all(connection: &mut AnyConnection) -> Result<Vec<Entry>, sqlx::Error> {
    let sql = format!("{SELECT}ORDER BY created_ms DESC, id DESC");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(read_entry).collect()
}

fn read_entry(row: &AnyRow) -> Result<Entry, sqlx::Error> {
    let id: String = row.try_get(0)?;
    let digest: String = row.try_get(3)?;
    let scope: String = row.try_get(5)?;
    let models: Option<String> = row.try_get(12)?;
    let routing: Option<String> = row.try_get(14)?;
    let limit = |index| -> Result<Option<u32>, sqlx::Error> {
        Ok(row.try_get::<Option<i64>, _>(index)?.and_then(|limit| u32::try_from(limit).ok()))
    };
    let key = Key {
        id: id.parse().map_err(|error: String| damaged(&error))?,
        name: row.try_get(1)?,
        owner: row.try_get(2)?,
        prefix: row.try_get(4)?,
        scope: Scope::parse(&scope).ok_or_else(|| damaged("a scope that is not known"))?,
        created_ms: row.try_get(6)?,
        expires_ms: row.try_get(7)?,
        revoked_ms: row.try_get(8)?,
        last_used_ms: row.try_get(9)?,
        limits: KeyLimits {
            requests_per_minute: limit(10)?,
            max_in_flight: limit(11)?,
            store_prompts: row.try_get::<Option<i64>, _>(13)?.map(|flag| flag != 0),
        },
        models: models
            .map(|models| serde_json::from_str(&models))
            .transpose()
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        routing: routing
            .map(|routing| serde_json::from_str(&routing))
            .transpose()
            .map_err(|error| sqlx::Error::Decode(error.into()))?
            .unwrap_or_default(),
    };
    let digest =
        crate::unhex(&digest).ok_or_else(|| damaged("a digest that is not 64 hexadecimal digits"))?;
    Ok(Entry::new(digest, key))
}

fn damaged(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("`nova_keys` holds {what}").into())
}
