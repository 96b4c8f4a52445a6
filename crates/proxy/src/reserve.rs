//! What waits for its next use, and is given up when nobody needed it for a while.

use std::cell::{Cell, RefCell};

/// Things of one worker that are free now.
pub(crate) struct Reserve<T> {
    free: RefCell<Vec<T>>,
    /// The fewest that were free at once since the last [`Reserve::trim`].
    unused: Cell<usize>,
}

impl<T> Default for Reserve<T> {
    fn default() -> Self {
        Self { free: RefCell::default(), unused: Cell::new(0) }
    }
}

impl<T> Reserve<T> {
    pub(crate) fn take(&self) -> Option<T> {
        let mut free = self.free.borrow_mut();
        let taken = free.pop();
        self.unused.set(self.unused.get().min(free.len()));
        taken
    }

    pub(crate) fn give(&self, thing: T) {
        self.free.borrow_mut().push(thing);
    }

    pub(crate) fn len(&self) -> usize {
        self.free.borrow().len()
    }

    /// Removes what nobody needed since the last call.
    pub(crate) fn trim(&self) -> Vec<T> {
        let mut free = self.free.borrow_mut();
        let needed = free.len().saturating_sub(self.unused.get());
        let unused = free.split_off(needed);
        self.unused.set(free.len());
        unused
    }
}
