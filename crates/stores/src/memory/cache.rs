use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::Error;
use engine::ports::{Cache, Clock};

use crate::caching::{self, check};

/// A cache in memory, bounded in entries and bytes: beyond either, what was put longest ago goes.
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    max_entries: usize,
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    slots: HashMap<Place, Slot>,
    /// The same places by when something was last put there.
    by_age: BTreeMap<u64, Place>,
    puts: u64,
    entries: usize,
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Key(String),
    Group(String),
}

struct Slot {
    last_put: u64,
    expires_at: DateTime<Utc>,
    /// Members with their values, those put longest ago first; one without a name is the value of a key.
    members: VecDeque<(String, Vec<u8>)>,
}

/// What an entry costs besides its bytes, roughly.
const OVERHEAD_BYTES: usize = 200;

impl MemoryCache {
    /// Keeps up to 50,000 entries and 64 MiB.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::bounded(clock, 50_000, 64 << 20)
    }

    /// Keeps up to so many entries, each member of a group being one, and so many bytes.
    pub fn bounded(clock: Arc<dyn Clock>, max_entries: usize, max_bytes: usize) -> Self {
        Self {
            clock,
            max_entries,
            max_bytes,
            kept: Mutex::default(),
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Kept::default();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics half-way through a change, so what is behind a poisoned lock is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expiry(&self, ttl: Duration) -> DateTime<Utc> {
        let ttl = TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX);
        let expiry = self.clock.now().checked_add_signed(ttl);
        expiry.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Puts off the end of a value if it is this one, and returns whether it is.
    pub(crate) fn renew_if(&self, key: &str, value: &[u8], ttl: Duration) -> bool {
        let now = self.clock.now();
        let mut kept = self.lock();
        let is_it = kept.value(key, now).is_some_and(|found| found == value);
        if is_it {
            self.put_value(&mut kept, key, value, ttl);
        }
        is_it
    }

    fn put_value(&self, kept: &mut Kept, key: &str, value: &[u8], ttl: Duration) {
        let place = Place::Key(key.to_owned());
        kept.remove(&place);
        kept.put(place, String::new(), value, self.expiry(ttl), 1);
        kept.shrink(self.max_entries, self.max_bytes);
    }
}

impl Kept {
    /// Returns what is in a place, unless it expired.
    fn live(&mut self, place: &Place, now: DateTime<Utc>) -> Option<&mut Slot> {
        if self.slots.get(place)?.expires_at <= now {
            self.remove(place);
        }
        self.slots.get_mut(place)
    }

    fn value(&mut self, key: &str, now: DateTime<Utc>) -> Option<&Vec<u8>> {
        let slot = self.live(&Place::Key(key.to_owned()), now)?;
        slot.members.front().map(|(_, value)| value)
    }

    fn put(
        &mut self,
        place: Place,
        member: String,
        value: &[u8],
        expires_at: DateTime<Utc>,
        max_members: usize,
    ) {
        self.remove_member(&place, &member);
        self.puts += 1;
        let slot = self.slots.entry(place.clone()).or_insert(Slot {
            last_put: 0,
            expires_at,
            members: VecDeque::new(),
        });
        self.by_age.remove(&slot.last_put);
        self.by_age.insert(self.puts, place.clone());
        slot.last_put = self.puts;
        slot.expires_at = expires_at;
        self.entries += 1;
        self.bytes += size(&place, &member, value);
        slot.members.push_back((member, value.to_owned()));
        while self
            .slots
            .get(&place)
            .is_some_and(|slot| slot.members.len() > max_members)
        {
            self.remove_oldest_member(&place);
        }
    }

    fn remove(&mut self, place: &Place) {
        while self.slots.contains_key(place) {
            self.remove_oldest_member(place);
        }
    }

    fn remove_oldest_member(&mut self, place: &Place) {
        self.remove_at(place, 0);
    }

    fn remove_member(&mut self, place: &Place, member: &str) {
        let position = self.slots.get(place).and_then(|slot| {
            let mut names = slot.members.iter().map(|(name, _)| name);
            names.position(|name| name == member)
        });
        if let Some(position) = position {
            self.remove_at(place, position);
        }
    }

    /// Removes one member, and the place when it was the last one.
    fn remove_at(&mut self, place: &Place, position: usize) {
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        if let Some((member, value)) = slot.members.remove(position) {
            self.entries -= 1;
            self.bytes -= size(place, &member, &value);
        }
        if slot.members.is_empty() {
            self.by_age.remove(&slot.last_put);
            self.slots.remove(place);
        }
    }

    fn shrink(&mut self, max_entries: usize, max_bytes: usize) {
        while self.entries > max_entries || self.bytes > max_bytes {
            let Some((_, oldest)) = self.by_age.first_key_value() else {
                return;
            };
            let oldest = oldest.clone();
            self.remove_oldest_member(&oldest);
        }
    }
}

fn size(place: &Place, member: &str, value: &[u8]) -> usize {
    let (Place::Key(name) | Place::Group(name)) = place;
    OVERHEAD_BYTES + name.len() + member.len() + value.len()
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let now = self.clock.now();
        Ok(self.lock().value(key, now).cloned())
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        check(key, value)?;
        self.put_value(&mut self.lock(), key, value, ttl);
        Ok(())
    }

    async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        check(key, value)?;
        let now = self.clock.now();
        let mut kept = self.lock();
        if kept.value(key, now).is_some() {
            return Ok(false);
        }
        self.put_value(&mut kept, key, value, ttl);
        Ok(true)
    }

    async fn remove(&self, key: &str) -> Result<(), Error> {
        self.lock().remove(&Place::Key(key.to_owned()));
        Ok(())
    }

    async fn remove_if(&self, key: &str, value: &[u8]) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut kept = self.lock();
        let is_it = kept.value(key, now).is_some_and(|found| found == value);
        if is_it {
            kept.remove(&Place::Key(key.to_owned()));
        }
        Ok(is_it)
    }

    async fn hold(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        caching::hold(ttl, || async { Ok(self.renew_if(key, value, ttl)) }).await
    }

    async fn wait_until_absent(&self, key: &str, at_most: Duration) -> Result<(), Error> {
        caching::wait_until_absent(self, key, at_most).await
    }

    async fn put_member(
        &self,
        group: &str,
        member: &str,
        value: &[u8],
        ttl: Duration,
        max_members: usize,
    ) -> Result<(), Error> {
        check(group, value)?;
        check(member, value)?;
        let (now, expires_at) = (self.clock.now(), self.expiry(ttl));
        let place = Place::Group(group.to_owned());
        let mut kept = self.lock();
        // What expired must not live on with the new member.
        kept.live(&place, now);
        kept.put(place, member.to_owned(), value, expires_at, max_members);
        kept.shrink(self.max_entries, self.max_bytes);
        Ok(())
    }

    async fn members(&self, group: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let now = self.clock.now();
        let mut kept = self.lock();
        let slot = kept.live(&Place::Group(group.to_owned()), now);
        Ok(slot.map_or_else(Vec::new, |slot| {
            slot.members.iter().rev().cloned().collect()
        }))
    }

    async fn remove_member(&self, group: &str, member: &str) -> Result<(), Error> {
        self.lock()
            .remove_member(&Place::Group(group.to_owned()), member);
        Ok(())
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}
