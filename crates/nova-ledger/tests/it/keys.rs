//! Keys: made, checked, revoked, shared between instances.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nova_catalog::{DataPolicy, NanoUsd};
use nova_ledger::{
    KeyBudget, KeyError, KeyLimits, KeyRouting, Ledger, LedgerError, NewKey, Period, Scope, Secret,
};

use crate::backend::{Backend, PEPPER};

pub(crate) async fn a_key_lives_and_dies(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let limits = KeyLimits {
        requests_per_minute: Some(600),
        max_in_flight: Some(u32::MAX),
        store_prompts: Some(false),
    };
    let new = NewKey {
        owner: Some("Zoë & Co.".to_owned()),
        limits,
        models: Some(vec!["deepseek-v4-pro".to_owned(), "kimi-2.6".to_owned()]),
        routing: KeyRouting {
            tags: [("team".to_owned(), "search".to_owned())].into(),
            request_budget: Some(NanoUsd::from_nanos(500_000)),
            budget: Some(KeyBudget { usd: NanoUsd::from_dollars(5), per: Period::Month }),
            data: DataPolicy { zdr: Some(true), ..DataPolicy::default() },
        },
        ..NewKey::user("build robot 🤖")
    };
    let user = ledger.create_key(&new, 1_000).await.unwrap();
    let admin = ledger.create_key(&NewKey::admin("root"), 2_000).await.unwrap();
    assert!(user.secret.expose().starts_with("nsk_") && admin.secret.expose().starts_with("nsa_"));
    assert_eq!((user.key.scope, admin.key.scope), (Scope::User, Scope::Admin));
    assert_eq!((user.key.created_ms, user.key.limits, &user.key.owner), (1_000, limits, &new.owner));
    assert_eq!(user.key.routing, new.routing);
    assert!(
        user.key.allows_model("KIMI-2.6") && !user.key.allows_model("kimi") && admin.key.allows_model("any")
    );

    // At once in this process, and after a restart from what the store holds.
    for ledger in [&ledger, &database.ledger().await] {
        assert_eq!(ledger.authenticate(user.secret.expose(), 5_000).unwrap(), user.key);
        assert_eq!(ledger.authenticate(admin.secret.expose(), 5_000).unwrap(), admin.key);
        let mut other = user.secret.expose().to_owned();
        other.replace_range(46.., if other.ends_with('a') { "b" } else { "a" });
        assert_eq!(ledger.authenticate(&other, 5_000), Err(KeyError::Unknown));
        assert_eq!(ledger.authenticate("sk-proj-1234", 5_000), Err(KeyError::Malformed));
        assert_eq!(ledger.authenticate("", 5_000), Err(KeyError::Malformed));
        let listed = ledger.list_keys().await.unwrap();
        assert_eq!(listed, [admin.key.clone(), user.key.clone()], "the newest first");
    }

    let revoked = ledger.revoke_key("build robot 🤖", 6_000).await.unwrap();
    assert_eq!(revoked.revoked_ms, Some(6_000));
    assert_eq!(ledger.authenticate(user.secret.expose(), 6_000), Err(KeyError::Revoked));
    let again = ledger.revoke_key(&revoked.id.to_string(), 9_000).await.unwrap();
    assert_eq!(again.revoked_ms, Some(6_000), "revoking twice changes nothing");
    assert_eq!(database.ledger().await.authenticate(user.secret.expose(), 6_000), Err(KeyError::Revoked));
    assert!(ledger.authenticate(admin.secret.expose(), 6_000).is_ok());
}

pub(crate) async fn a_key_expires(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let new = NewKey { expires_ms: Some(2_000), ..NewKey::user("trial") };
    let created = ledger.create_key(&new, 1_000).await.unwrap();
    let text = created.secret.expose();
    assert!(ledger.authenticate(text, 1_999).is_ok());
    assert_eq!(ledger.authenticate(text, 2_000), Err(KeyError::Expired));
    ledger.revoke_key("trial", 1_500).await.unwrap();
    assert_eq!(ledger.authenticate(text, 1_999), Err(KeyError::Revoked));
}

pub(crate) async fn names_are_unique_among_living_keys(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let first = ledger.create_key(&NewKey::user("ci"), 1_000).await.unwrap();
    let taken = ledger.create_key(&NewKey::user("ci"), 1_001).await.unwrap_err();
    assert!(matches!(&taken, LedgerError::NameTaken { name } if name == "ci"), "{taken}");
    ledger.revoke_key("ci", 1_002).await.unwrap();
    let second = ledger.create_key(&NewKey::user("ci"), 1_003).await.unwrap();
    assert_eq!(ledger.get_key("ci").await.unwrap().id, second.key.id, "the living one has the name");
    assert_eq!(ledger.get_key(&first.key.id.to_string()).await.unwrap().revoked_ms, Some(1_002));
    assert_eq!(ledger.list_keys().await.unwrap().len(), 2);
}

pub(crate) async fn a_key_is_found_in_four_ways(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let one = ledger.create_key(&NewKey::user("one"), 1).await.unwrap();
    let other = ledger.create_key(&NewKey::user("other"), 2).await.unwrap();
    let id = one.key.id.to_string();
    for selector in [id.as_str(), "one", &one.key.prefix, one.secret.expose()] {
        assert_eq!(ledger.get_key(selector).await.unwrap().id, one.key.id, "{selector}");
    }
    let whole = format!("nsk_{}", "z".repeat(43));
    let unknown_id = other.key.id.to_string().replace(|c: char| c.is_ascii_digit(), "9");
    for selector in ["nobody", "", "a\0b", "nsk_", &unknown_id, &whole, "' OR 1=1 --", "%"] {
        let error = ledger.get_key(selector).await.unwrap_err();
        assert!(matches!(error, LedgerError::NoSuchKey { .. }), "{selector}: {error}");
        assert!(!error.to_string().contains(&"z".repeat(9)), "a whole key is not repeated: {error}");
    }
    database.sql("UPDATE nova_keys SET prefix = 'nsk_same'").await;
    let error = ledger.revoke_key("nsk_same", 3).await.unwrap_err();
    assert!(matches!(&error, LedgerError::Ambiguous { names, .. } if names == "other, one"), "{error}");
}

pub(crate) async fn bad_values_are_refused(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let id = ledger.create_key(&NewKey::user("good"), 1_000).await.unwrap().key.id.to_string();
    let with = |change: &dyn Fn(&mut NewKey)| {
        let mut new = NewKey::user("bad");
        change(&mut new);
        new
    };
    let long = "é".repeat(65);
    let cases = [
        ("name", NewKey::user("")),
        ("name", NewKey::user(" ")),
        ("name", NewKey::user(long)),
        ("name", NewKey::user("a\nb")),
        ("name", NewKey::user("a\0b")),
        ("name", NewKey::user("nsk_abc")),
        ("name", NewKey::user(id)),
        ("owner", with(&|new| new.owner = Some("\u{7f}".to_owned()))),
        ("expires_ms", with(&|new| new.expires_ms = Some(1_000))),
        ("limits", with(&|new| new.limits.max_in_flight = Some(0))),
        ("models", with(&|new| new.models = Some(Vec::new()))),
        ("models", with(&|new| new.models = Some(vec![String::new()]))),
    ];
    for (expected, new) in cases {
        let error = ledger.create_key(&new, 1_000).await.unwrap_err();
        assert!(
            matches!(&error, LedgerError::Invalid { field, .. } if *field == expected),
            "{new:?}: {error}"
        );
    }
    assert!(ledger.create_key(&NewKey::user("é".repeat(64)), 1_000).await.is_ok());
    assert_eq!(ledger.list_keys().await.unwrap().len(), 2);
}

pub(crate) async fn a_declared_key_is_what_was_declared(backend: &Backend) {
    let database = backend.database();
    let (ledger, other) = (database.ledger().await, database.ledger().await);
    let text = |filler: &str| Secret::new(format!("nsk_{}", filler.repeat(43)));
    let (first, second) = (text("a"), text("b"));
    let team = NewKey::user("team");
    let key = ledger.declare_key(&first, &team, 1_000).await.unwrap();
    assert_eq!(ledger.authenticate(first.expose(), 2_000).unwrap(), key);
    let again = other.declare_key(&first, &team, 2_000).await.unwrap();
    assert_eq!(again, key, "declaring it again changes nothing");
    assert_eq!(other.key_table().version(), 2);

    // The same text under another name and with a limit: the same key, changed, here and elsewhere.
    let limits = KeyLimits { requests_per_minute: Some(60), ..KeyLimits::default() };
    let changed = NewKey { limits, models: Some(vec!["m".to_owned()]), ..NewKey::user("crew") };
    let renamed = ledger.declare_key(&first, &changed, 3_000).await.unwrap();
    assert_eq!((renamed.id, renamed.name.as_str(), renamed.limits), (key.id, "crew", limits));
    assert!(other.refresh().await.unwrap());
    assert_eq!(other.authenticate(first.expose(), 4_000).unwrap(), renamed);

    // Another text under the same name: the old one is out.
    let rotated = ledger.declare_key(&second, &changed, 5_000).await.unwrap();
    assert_ne!(rotated.id, key.id);
    assert_eq!(ledger.authenticate(first.expose(), 5_000), Err(KeyError::Revoked));
    assert_eq!(ledger.authenticate(second.expose(), 5_000).unwrap(), rotated);
    let user_as_admin = NewKey::admin("root");
    for (secret, new) in [(&first, &changed), (&Secret::new("nsk_short"), &team), (&second, &user_as_admin)] {
        let error = ledger.declare_key(secret, new, 6_000).await.unwrap_err();
        assert!(matches!(error, LedgerError::Invalid { field: "key", .. }), "{error}");
    }
    assert_eq!(ledger.list_keys().await.unwrap().len(), 2);
}

pub(crate) async fn instances_see_each_others_changes(backend: &Backend) {
    let database = backend.database();
    let (one, other) = (database.ledger().await, database.ledger().await);
    let key = one.create_key(&NewKey::user("shared"), 1_000).await.unwrap();
    let text = key.secret.expose();
    assert_eq!(other.authenticate(text, 2_000), Err(KeyError::Unknown));
    assert!(other.refresh().await.unwrap());
    assert!(!other.refresh().await.unwrap(), "nothing changed since");
    assert!(other.authenticate(text, 2_000).is_ok());
    one.revoke_key("shared", 3_000).await.unwrap();
    assert!(other.refresh().await.unwrap());
    assert_eq!(other.authenticate(text, 3_000), Err(KeyError::Revoked));
    assert_eq!(other.key_table().version(), 3, "one to begin with, and two changes");

    // However changes and reloads fall together, what an instance did itself is never undone by an older
    // reload.
    let mut keys = Vec::new();
    for index in 0..20 {
        keys.push(one.create_key(&NewKey::user(format!("k{index}")), 4_000).await.unwrap());
    }
    other.refresh().await.unwrap();
    for (index, key) in keys.iter().enumerate() {
        let (mine, theirs) = if index % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let (revoked, mine_fresh, theirs_fresh) =
            tokio::join!(mine.revoke_key(&key.key.name, 5_000), mine.refresh(), theirs.refresh());
        revoked.unwrap();
        mine_fresh.unwrap();
        theirs_fresh.unwrap();
        assert_eq!(mine.authenticate(key.secret.expose(), 5_000), Err(KeyError::Revoked));
        theirs.refresh().await.unwrap();
        assert_eq!(theirs.authenticate(key.secret.expose(), 5_000), Err(KeyError::Revoked));
    }
}

pub(crate) async fn the_last_use_is_saved(backend: &Backend) {
    let database = backend.database();
    let (one, other) = (database.ledger().await, database.ledger().await);
    let key = one.create_key(&NewKey::user("busy"), 1_000).await.unwrap();
    one.create_key(&NewKey::user("idle"), 1_000).await.unwrap();
    one.refresh().await.unwrap();
    other.refresh().await.unwrap();
    assert_eq!(one.save_last_used().await.unwrap(), 0);
    one.authenticate(key.secret.expose(), 50_000).unwrap();
    other.authenticate(key.secret.expose(), 40_000).unwrap();
    assert_eq!(one.save_last_used().await.unwrap(), 1);
    assert_eq!(other.save_last_used().await.unwrap(), 1);
    assert_eq!(one.save_last_used().await.unwrap(), 0, "saved once");
    assert_eq!(one.get_key("busy").await.unwrap().last_used_ms, Some(50_000), "the later of the two stays");
    assert_eq!(one.get_key("idle").await.unwrap().last_used_ms, None);
    assert!(!one.refresh().await.unwrap(), "a use is no change that makes everybody reload");
}

pub(crate) async fn no_key_is_stored_in_the_clear(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let key = ledger.create_key(&NewKey::user("visible name"), 1_000).await.unwrap();
    assert!(!format!("{key:?} {ledger:?}").contains(&key.secret.expose()[8..]));
    ledger.close().await;
    if backend.postgres.is_some() {
        return;
    }
    let mut stored = Vec::new();
    for entry in fs::read_dir(&database.folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        stored.extend(fs::read(path).unwrap());
    }
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("visible name") && holds(&key.key.prefix));
    assert!(!holds(&key.secret.expose()[8..]) && !holds(PEPPER));
}

pub(crate) async fn instances_that_start_at_once_agree(backend: &Backend) {
    let database = backend.database();
    let (a, b, c, d) =
        tokio::join!(database.ledger(), database.ledger(), database.ledger(), database.ledger());
    for (index, ledger) in [&a, &b, &c, &d].into_iter().enumerate() {
        ledger.create_key(&NewKey::user(format!("k{index}")), 1).await.unwrap();
    }
    assert_eq!(a.list_keys().await.unwrap().len(), 4);
    assert_eq!(database.ledger().await.key_table().version(), 5);
}

pub(crate) async fn a_database_of_another_making_is_refused(backend: &Backend) {
    let database = backend.database();
    database.ledger().await.close().await;
    let open = |pepper: &str| Ledger::open(&database.url, Secret::new(pepper));
    let error = open(&"x".repeat(32)).await.unwrap_err();
    assert!(matches!(error, LedgerError::WrongPepper), "{error}");
    let error = open("short").await.unwrap_err();
    assert!(matches!(error, LedgerError::ShortPepper { bytes: 5 }), "{error}");
    database
        .sql("INSERT INTO nova_migrations (version, name, checksum, applied_ms) VALUES (99, 'later', '', 0)")
        .await;
    let error = open(PEPPER).await.unwrap_err();
    assert!(matches!(error, LedgerError::Migration { version: 99, .. }), "{error}");
    database
        .sql("DELETE FROM nova_migrations WHERE version = 99; UPDATE nova_migrations SET checksum = 'x'")
        .await;
    let error = open(PEPPER).await.unwrap_err();
    assert!(matches!(error, LedgerError::Migration { version: 1, .. }), "{error}");
}

#[test]
fn a_url_that_cannot_work_is_refused_without_repeating_it() {
    crate::backend::run(async {
        for url in [
            "",
            "nova.db",
            "mysql://root:hunter2@host/db",
            "sqlite::memory:",
            "sqlite://x.db?mode=memory",
            "postgres://[",
        ] {
            let error = Ledger::open(url, Secret::new(PEPPER)).await.unwrap_err();
            assert!(matches!(error, LedgerError::Url { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = Ledger::open("sqlite:///nowhere/at/all/nova.db", Secret::new(PEPPER)).await.unwrap_err();
        assert!(matches!(error, LedgerError::File { .. }), "{error}");
        let error = Ledger::open("postgres:///db?host=/nowhere", Secret::new(PEPPER)).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    });
}

#[test]
fn a_pepper_file_is_made_once_and_private() {
    let folder = crate::backend::Folder::fresh();
    let path = folder.path().join("pepper");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || Secret::load_or_create(&path).unwrap())
        })
        .collect();
    let all: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let stored = Secret::load_or_create(&path).unwrap();
    assert_eq!(stored.expose().len(), 43);
    assert!(all.iter().all(|secret| secret.expose() == stored.expose()), "everybody has the same");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    let error = Secret::load_or_create(&folder.path().join("missing/pepper")).unwrap_err();
    assert!(matches!(error, LedgerError::File { .. }), "{error}");
}
