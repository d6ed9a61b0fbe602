use chrono::{DateTime, Utc};
use engine::accounts::{Email, Invitation, NewInvitation, NewUser, UserId};
use engine::audit::AuditEntry;
use engine::ports::{Page, PageRequest};
use engine::{Code, Error};
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{folded, id, role, select, storable};
use super::users;

macro_rules! columns {
    () => {
        "id, email, role, invited_by, created_at, expires_at, accepted_at, withdrawn_at"
    };
}

impl PostgresStore {
    pub(super) async fn invite(
        &self,
        invitation: &NewInvitation,
        audit: &AuditEntry,
    ) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let email = invitation.email.as_str();
        let taken = query("SELECT email FROM users WHERE email_folded = $1").bind(folded(email));
        let taken: Option<String> = transaction.one(taken, |row| row.try_get(0)).await?;
        if let Some(taken) = taken {
            return Err(Error::new(
                Code::EmailTaken,
                format!("a user has the address `{taken}` already"),
            ));
        }
        let withdraw = query(
            "UPDATE invitations SET withdrawn_at = $2
             WHERE email_folded = $1 AND accepted_at IS NULL AND withdrawn_at IS NULL",
        );
        transaction
            .execute(withdraw.bind(folded(email)).bind(audit.at))
            .await?;
        let insert = query(
            "INSERT INTO invitations (email, email_folded, role, token_hash, invited_by, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        )
        .bind(storable(email))
        .bind(folded(email))
        .bind(invitation.role.as_str())
        .bind(&invitation.token_hash)
        .bind(audit.user_id)
        .bind(audit.at)
        .bind(invitation.expires_at);
        let id = transaction.only(insert, id).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Returns the invitation of a token that can be accepted at `now`.
    pub(super) async fn open_invitation(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Invitation>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM invitations
             WHERE token_hash = $1 AND accepted_at IS NULL AND withdrawn_at IS NULL AND expires_at > $2"
        );
        let find = query(FIND).bind(storable(token_hash)).bind(now);
        self.one(find, read).await
    }

    pub(super) async fn accept(
        &self,
        token_hash: &str,
        password_hash: &str,
        full_name: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        const ACCEPT: &str = concat!(
            "UPDATE invitations SET accepted_at = $2
             WHERE token_hash = $1 AND accepted_at IS NULL AND withdrawn_at IS NULL AND expires_at > $2
             RETURNING ",
            columns!()
        );
        let mut transaction = self.begin().await?;
        let accept = query(ACCEPT).bind(storable(token_hash)).bind(audit.at);
        let Some(invitation) = transaction.one(accept, read).await? else {
            return Ok(None);
        };
        let user = NewUser {
            email: Email::parse(&invitation.email)?,
            password_hash: password_hash.to_owned(),
            full_name: full_name.to_owned(),
            role: invitation.role,
        };
        let mut audit = audit.clone();
        audit.user_id = None;
        let id = users::create(&mut transaction, &user, audit).await?;
        transaction.commit().await?;
        Ok(Some(id))
    }

    pub(super) async fn list_invitations(
        &self,
        request: PageRequest,
    ) -> Result<Page<Invitation>, Error> {
        let invitations = select(concat!(columns!(), " FROM invitations"));
        self.page(invitations, request, read, |invitation| invitation.id)
            .await
    }

    pub(super) async fn withdraw(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let withdraw = query(
            "UPDATE invitations SET withdrawn_at = $2
             WHERE id = $1 AND accepted_at IS NULL AND withdrawn_at IS NULL AND expires_at > $2",
        );
        if transaction
            .execute(withdraw.bind(id).bind(audit.at))
            .await?
            == 0
        {
            return Ok(false);
        }
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn read(row: &PgRow) -> sqlx::Result<Invitation> {
    Ok(Invitation {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        role: role(row, "role")?,
        invited_by: row.try_get("invited_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        accepted_at: row.try_get("accepted_at")?,
        withdrawn_at: row.try_get("withdrawn_at")?,
    })
}
