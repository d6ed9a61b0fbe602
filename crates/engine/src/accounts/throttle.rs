//! How often someone who is not recognised yet may try. Accounts are counted whether they exist or not, so that the
//! count tells nothing about who has one.

use std::net::{IpAddr, Ipv6Addr};

use crate::error::{Code, Error};
use crate::ports::{Allowance, Ports};

/// Takes a try of one network address for an act.
pub(super) async fn take_of_address(
    ports: &Ports,
    act: &str,
    from: IpAddr,
    allowance: Allowance,
) -> Result<(), Error> {
    take(ports, &format!("{act}:from:{}", network(from)), allowance).await
}

/// Takes a try of one account for an act.
pub(super) async fn take_of_account(
    ports: &Ports,
    act: &str,
    email: &str,
    allowance: Allowance,
) -> Result<(), Error> {
    take(ports, &account_key(act, email), allowance).await
}

/// Forgets the tries of an account, after one that was good.
pub(super) async fn forget_account(ports: &Ports, act: &str, email: &str) -> Result<(), Error> {
    ports.rate_limits.forget(&account_key(act, email)).await
}

/// What was typed for an address may be anything, a password even: the count is kept under its hash.
fn account_key(act: &str, email: &str) -> String {
    let hash = blake3::hash(email.trim().to_lowercase().as_bytes());
    format!("{act}:account:{}", hash.to_hex())
}

/// One household or server has all addresses of an IPv6 network of 64 bits, so these count as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

async fn take(ports: &Ports, key: &str, allowance: Allowance) -> Result<(), Error> {
    let now = ports.clock.now();
    let Some(wait) = ports.rate_limits.take(key, allowance, now).await? else {
        return Ok(());
    };
    let seconds = wait.as_secs() + 1;
    Err(Error::new(Code::RateLimited, "too many attempts")
        .with_hint(format!("wait {seconds} s and try again"))
        .with_retry_after(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn an_account_has_one_count_however_its_address_is_written() {
        assert_eq!(
            account_key("login", " Ada@Example.org"),
            account_key("login", "ada@example.ORG")
        );
        assert!(!account_key("login", "ada@example.org").contains("ada"));
    }
}
