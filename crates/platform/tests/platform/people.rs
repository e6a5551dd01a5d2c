//! People and sessions in the control store: the first admin, who may sign in, and when that ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use outrider_platform::oidc::Identity;
use outrider_platform::passwords::{HashedPassword, Password, Passwords};
use outrider_platform::store::{
    Activity, NewPerson, PEOPLE_MAX, PersonChange, PersonError, Role, SESSION_ABSOLUTE_MS, SESSION_IDLE_MS,
    SESSIONS_MAX, Store, StoreError,
};
use sqlx::{Connection as _, SqliteConnection};

async fn store(dir: &Path) -> Store {
    Store::open(&dir.join("control.sqlite")).await.unwrap()
}

async fn hashed(text: &str) -> HashedPassword {
    Passwords::default().hash(Password::from(text.to_owned())).await.unwrap()
}

fn person(name: &str, role: Role) -> NewPerson {
    NewPerson { name: name.to_owned(), display_name: String::new(), role }
}

fn why<T: std::fmt::Debug>(result: Result<T, StoreError>) -> PersonError {
    match result.unwrap_err() {
        StoreError::Person(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_first_start_leaves_a_setup_token_that_makes_one_admin() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hash) = (store(dir.path()).await, hashed("a long password").await);
    let file = dir.path().join("setup-token");
    // A file left by a start that died, readable by everybody.
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(store.prepare_setup(&file).await.unwrap());
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(store.prepare_setup(&file).await.unwrap());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    for wrong in ["", "old", before.trim(), &token[1..]] {
        assert!(matches!(why(store.set_up(wrong, "anna", &hash, &file, 1).await), PersonError::SetupToken));
    }
    assert!(matches!(why(store.set_up(&token, "Anna B", &hash, &file, 1).await), PersonError::Name(_)));
    store.check_setup(&token).await.unwrap();
    store.set_up(&token, "anna", &hash, &file, 1).await.unwrap();
    assert!(!file.exists());
    assert_eq!(store.person("anna").await.unwrap().unwrap().role, Role::Admin);
    assert!(matches!(why(store.set_up(&token, "eve", &hash, &file, 2).await), PersonError::SetUp));
    assert!(!store.prepare_setup(&file).await.unwrap());
    assert!(!file.exists(), "there is an admin, so there is no token");
}

#[tokio::test]
async fn an_admins_token_closes_the_setup() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hash) = (store(dir.path()).await, hashed("a long password").await);
    let file = dir.path().join("setup-token");
    store.create_token("look", Role::Viewer, "x", 1).await.unwrap();
    assert!(store.prepare_setup(&file).await.unwrap(), "a viewer lets nobody in");
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    store.create_token("root", Role::Admin, "x", 1).await.unwrap();
    assert!(matches!(why(store.set_up(&token, "eve", &hash, &file, 2).await), PersonError::SetUp));
    assert!(!store.prepare_setup(&file).await.unwrap());
    assert!(!file.exists());
    let nowhere = dir.path().join("no/such/setup-token");
    let other = Store::open(&dir.path().join("other.sqlite")).await.unwrap();
    let error = other.prepare_setup(&nowhere).await.unwrap_err().to_string();
    assert!(error.contains("no/such/setup-token"), "{error}");
}

#[tokio::test]
async fn the_setup_is_open_until_somebody_can_administer() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hash) = (store(dir.path()).await, hashed("a long password").await);
    let file = dir.path().join("setup-token");
    let identity = |subject: &str, role| Identity {
        issuer: "https://sso.example".to_owned(),
        subject: subject.to_owned(),
        name: subject.to_owned(),
        display_name: String::new(),
        role,
    };
    store.admit(&identity("look", Role::Viewer), 1).await.unwrap();
    store.create_person(&person("work", Role::Responder), &hash, "x", 1).await.unwrap();
    assert!(store.prepare_setup(&file).await.unwrap(), "they let nobody in");
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    store.check_setup(&token).await.unwrap();
    store.admit(&identity("lead", Role::Admin), 2).await.unwrap();
    assert!(matches!(why(store.check_setup(&token).await), PersonError::SetUp), "the provider's admin can");
    store.change_person("lead", &[PersonChange::Disable], "x", 3).await.unwrap();
    store.set_up(&token, "anna", &hash, &file, 4).await.unwrap();
    assert!(!store.prepare_setup(&file).await.unwrap());
}

#[tokio::test]
async fn the_setup_token_is_checked_while_somebody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let file = dir.path().join("setup-token");
    store.prepare_setup(&file).await.unwrap();
    let mut writer = SqliteConnection::connect(dir.path().join("control.sqlite").to_str().unwrap()).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    assert!(matches!(why(store.check_setup("wrong").await), PersonError::SetupToken));
}

#[tokio::test]
async fn a_change_of_ones_own_password_undoes_nothing_that_came_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (store, old) = (store(dir.path()).await, hashed("a long password").await);
    store.create_person(&person("anna", Role::Viewer), &old, "x", 1).await.unwrap();
    let (reset, own) = (hashed("an admin's password").await, hashed("one's own password").await);
    let start =
        async |password: &HashedPassword| store.start_session("anna", Some(password), 2).await.unwrap().unwrap();
    let change = async |session: &str, current: &HashedPassword| {
        store.change_own_password("anna", session, current, &own, 3).await.unwrap()
    };
    let session = start(&old).await;
    assert!(!change("outrider_session_none", &old).await);
    store.end_session(session.reveal(), 2).await.unwrap();
    assert!(!change(session.reveal(), &old).await, "it has ended");
    let session = start(&old).await;
    store.change_person("anna", &[PersonChange::Password(reset.clone())], "root", 2).await.unwrap();
    assert!(!change(session.reveal(), &old).await);
    let session = start(&reset).await;
    assert!(!change(session.reveal(), &old).await, "it was not this one that was replaced");
    assert_eq!(store.password_of("anna").await.unwrap(), Some(reset.clone()));
    assert!(change(session.reveal(), &reset).await);
    assert_eq!(store.password_of("anna").await.unwrap(), Some(own.clone()));
    assert!(store.session(session.reveal(), Activity::Counts, 4).await.unwrap().is_none());
}

#[tokio::test]
async fn the_last_admin_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hash) = (store(dir.path()).await, hashed("a long password").await);
    store.create_person(&person("anna", Role::Admin), &hash, "x", 1).await.unwrap();
    let change = async |name: &str, change: PersonChange| store.change_person(name, &[change], "x", 2).await;
    for last in [PersonChange::Disable, PersonChange::Role(Role::Responder)] {
        assert!(matches!(why(change("anna", last).await), PersonError::LastAdmin(_)));
    }
    store.create_token("root", Role::Admin, "x", 3).await.unwrap();
    change("anna", PersonChange::Disable).await.unwrap();
    assert!(matches!(store.revoke_token("root", "x", 4).await, Err(StoreError::LastAdmin(_))), "people count, too");
    store.create_person(&person("bob", Role::Admin), &hash, "x", 5).await.unwrap();
    store.revoke_token("root", "x", 6).await.unwrap();
    assert!(matches!(why(change("bob", PersonChange::Disable).await), PersonError::LastAdmin(_)));
    change("anna", PersonChange::Enable).await.unwrap();
    change("bob", PersonChange::Role(Role::Viewer)).await.unwrap();
    // All or nothing.
    let both = [PersonChange::DisplayName("Anna".to_owned()), PersonChange::Disable];
    assert!(matches!(why(store.change_person("anna", &both, "x", 7).await), PersonError::LastAdmin(_)));
    assert_eq!(store.person("anna").await.unwrap().unwrap().display_name, "anna");
    assert!(matches!(why(change("nobody", PersonChange::Disable).await), PersonError::Missing(_)));
}

#[tokio::test]
async fn a_session_ends_in_time_and_with_what_it_rests_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hash) = (store(dir.path()).await, hashed("a long password").await);
    store.create_person(&person("root", Role::Admin), &hash, "x", 1).await.unwrap();
    store.create_person(&person("anna", Role::Viewer), &hash, "x", 1).await.unwrap();
    let start =
        async |now_ms| store.start_session("anna", Some(&hash), now_ms).await.unwrap().unwrap().reveal().to_owned();

    let session = start(0).await;
    assert!(store.session(&session, Activity::Counts, SESSION_IDLE_MS - 1).await.unwrap().is_some());
    assert!(
        store.session(&session, Activity::Counts, 2 * SESSION_IDLE_MS - 2).await.unwrap().is_some(),
        "using it keeps it alive"
    );
    assert!(store.session(&session, Activity::Counts, 3 * SESSION_IDLE_MS).await.unwrap().is_none(), "it fell idle");
    let session = start(0).await;
    assert!(store.session(&session, Activity::Ignored, SESSION_IDLE_MS - 1).await.unwrap().is_some());
    assert!(store.session(&session, Activity::Counts, SESSION_IDLE_MS).await.unwrap().is_none(), "a look is no use");
    let session = start(0).await;
    let mut now_ms = 0;
    while now_ms + SESSION_IDLE_MS / 2 < SESSION_ABSOLUTE_MS {
        now_ms += SESSION_IDLE_MS / 2;
        assert!(store.session(&session, Activity::Counts, now_ms).await.unwrap().is_some(), "{now_ms}");
    }
    assert!(
        store.session(&session, Activity::Counts, SESSION_ABSOLUTE_MS).await.unwrap().is_none(),
        "however much it is used"
    );

    let other = hashed("another password").await;
    for change in [PersonChange::Role(Role::Analyst), PersonChange::Password(hash.clone()), PersonChange::Disable] {
        let session = start(5).await;
        store.change_person("anna", std::slice::from_ref(&change), "x", 6).await.unwrap();
        assert!(store.session(&session, Activity::Counts, 7).await.unwrap().is_none(), "{change:?}");
    }
    assert!(store.start_session("anna", Some(&hash), 8).await.unwrap().is_none(), "who is disabled does not come in");
    assert!(store.password_of("anna").await.unwrap().is_none());
    store.change_person("anna", &[PersonChange::Enable], "x", 9).await.unwrap();
    let session = start(9).await;
    assert!(store.end_session(&session, 9).await.unwrap());
    assert!(!store.end_session(&session, 9).await.unwrap());
    assert!(store.session(&session, Activity::Counts, 9).await.unwrap().is_none());
    store.change_person("anna", &[PersonChange::Password(other)], "x", 10).await.unwrap();
    assert!(
        store.start_session("anna", Some(&hash), 10).await.unwrap().is_none(),
        "it was changed since it was checked"
    );
}

#[tokio::test]
async fn sessions_and_people_are_limited_and_no_secret_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hash) = (store(dir.path()).await, hashed("a long password").await);
    store.create_person(&person("anna", Role::Viewer), &hash, "x", 1).await.unwrap();
    let mut sessions = Vec::new();
    for n in 0..=i64::from(SESSIONS_MAX) {
        sessions.push(store.start_session("anna", Some(&hash), n).await.unwrap().unwrap());
    }
    for (n, session) in sessions.iter().enumerate() {
        assert_eq!(
            store.session(session.reveal(), Activity::Counts, 100).await.unwrap().is_some(),
            n > 0,
            "the oldest of them ended"
        );
    }
    for name in ["", "Anna", "a b", "person:x", "ä", &"x".repeat(65)] {
        let made = store.create_person(&person(name, Role::Viewer), &hash, "x", 1).await;
        assert!(matches!(why(made), PersonError::Name(_)), "{name}");
    }
    let again = store.create_person(&person("anna", Role::Admin), &hash, "x", 1).await;
    assert!(matches!(why(again), PersonError::Exists(_)));
    for n in 1..PEOPLE_MAX {
        store.create_person(&person(&format!("p{n}"), Role::Viewer), &hash, "x", 1).await.unwrap();
    }
    assert!(matches!(
        why(store.create_person(&person("more", Role::Viewer), &hash, "x", 1).await),
        PersonError::TooMany
    ));
    store.close().await;
    let bytes = std::fs::read(dir.path().join("control.sqlite")).unwrap();
    for secret in ["a long password", sessions[3].reveal()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
