//! `assay user`: accounts, looked after by whoever may run commands on this machine.

use std::io::IsTerminal;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use engine::accounts::{self as people, Actor, User, UserChange, UserFilter};
use engine::policy::Role;
use engine::ports::{PageRequest, Ports};
use engine::{Code, Error};
use serde_json::json;

use super::output;
use crate::accounts::write_private;
use crate::config::Settings;
use crate::{sealing, wire};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a user with a random password, shown once.
    Add {
        /// The e-mail address to log in with.
        email: String,
        /// The name as shown; the address if it is not given.
        #[arg(long)]
        name: Option<String>,
        /// `viewer`, `analyst` or `admin`.
        #[arg(long, default_value = "viewer", value_parser = role)]
        role: Role,
    },
    /// List users, the newest first.
    List {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Keep a user from logging in and end all their sessions and keys.
    Disable {
        /// The e-mail address.
        email: String,
    },
    /// Let a user log in again.
    Enable {
        /// The e-mail address.
        email: String,
    },
    /// Give a user another role.
    Role {
        /// The e-mail address.
        email: String,
        /// `viewer`, `analyst` or `admin`.
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Give a user a new random password, shown once, and end all their sessions.
    ResetPassword {
        /// The e-mail address.
        email: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "a role is `viewer`, `analyst` or `admin`".to_owned())
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let app = wire::open_store_alone(settings).await?;
    let actor = super::local_actor(&app, settings).await?;
    let ports = &app.ports;
    let done = match command {
        Command::Add { email, name, role } => {
            add(ports, &actor, settings, &email, name.as_deref(), role).await
        }
        Command::List { json } => list(ports, json).await,
        Command::Disable { email } => {
            let change = UserChange {
                is_active: Some(false),
                ..UserChange::default()
            };
            change_user(ports, &actor, &email, change).await
        }
        Command::Enable { email } => {
            let change = UserChange {
                is_active: Some(true),
                ..UserChange::default()
            };
            change_user(ports, &actor, &email, change).await
        }
        Command::Role { email, role } => {
            let change = UserChange {
                role: Some(role),
                ..UserChange::default()
            };
            change_user(ports, &actor, &email, change).await
        }
        Command::ResetPassword { email } => reset_password(ports, settings, &email).await,
    };
    sealing::seal_once(ports, settings).await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn add(
    ports: &Ports,
    actor: &Actor,
    settings: &Settings,
    email: &str,
    name: Option<&str>,
    role: Role,
) -> Result<(), Error> {
    let password = random_password(ports);
    let name = name.unwrap_or(email);
    let id =
        people::administration::create_user(ports, actor, email, name, &password, role).await?;
    output::data(&format!("created user {id}: {email}, {}", role.as_str()));
    hand_over(settings, id, &password)
}

async fn list(ports: &Ports, json: bool) -> Result<(), Error> {
    let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let users = ports.store.users(&UserFilter::default(), page).await?;
        for user in &users.items {
            if json {
                output::json_line(&object_of(user));
            } else {
                output::data(&line_of(user));
            }
        }
        match users.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(()),
        }
    }
}

async fn change_user(
    ports: &Ports,
    actor: &Actor,
    email: &str,
    change: UserChange,
) -> Result<(), Error> {
    let user = find(ports, email).await?;
    let user = people::administration::change_user(ports, actor, user.id, change).await?;
    output::data(&line_of(&user));
    Ok(())
}

async fn reset_password(ports: &Ports, settings: &Settings, email: &str) -> Result<(), Error> {
    let user = find(ports, email).await?;
    let password = random_password(ports);
    people::recovery::reset_password(ports, user.id, &password).await?;
    output::data(&format!("new password for {}", user.email));
    hand_over(settings, user.id, &password)
}

async fn find(ports: &Ports, email: &str) -> Result<User, Error> {
    let user = ports.store.user_by_email(email).await?;
    user.ok_or_else(|| {
        Error::new(Code::NotFound, format!("there is no user `{email}`"))
            .with_hint("`assay user list` names them")
    })
}

fn random_password(ports: &Ports) -> String {
    URL_SAFE_NO_PAD.encode(&ports.random.bytes()[..18])
}

/// Shows a password once on a terminal; elsewhere it would stay in a log, so it goes to a file of mode 0600.
fn hand_over(settings: &Settings, id: i64, password: &str) -> Result<(), Error> {
    if std::io::stderr().is_terminal() {
        output::say(&format!("password: {password} (shown this once)"));
        return Ok(());
    }
    let path = settings.data_dir.join(format!("password-of-user-{id}"));
    write_private(&path, password)?;
    output::say(&format!("password in {}", path.display()));
    Ok(())
}

fn line_of(user: &User) -> String {
    format!(
        "{:>5}  {:<8} {:<9} {}",
        user.id,
        user.role.as_str(),
        if user.is_active { "active" } else { "disabled" },
        user.email
    )
}

fn object_of(user: &User) -> serde_json::Value {
    json!({
        "id": user.id,
        "email": user.email,
        "full_name": user.full_name,
        "role": user.role,
        "is_active": user.is_active,
        "last_login": user.last_login,
        "last_query_at": user.last_query_at,
        "created_at": user.created_at,
    })
}
