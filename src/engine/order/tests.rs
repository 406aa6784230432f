//! What one thread can see of an order: its pages, blocks and entries.

use super::block::{Content, LEVELS, Slot};
use super::*;

fn order() -> (Order<u64>, Guard) {
    (Order::new(), crossbeam_epoch::pin())
}

/// The clock is far above all that is filled.
fn late() -> Clock {
    Clock::starting_at(1 << 40)
}

fn first_from(order: &Order<u64>, from: u64, clock: &Clock, guard: &Guard) -> Option<(u64, u64)> {
    order.first_from(from, clock, guard).map(|(tick, node)| (tick, *node))
}

fn pages(order: &Order<u64>, guard: &Guard) -> Vec<u64> {
    let mut pages = Vec::new();
    while let Some(page) = order.directory.first_from(pages.last().map_or(0, |last| last + 1), guard) {
        pages.push(page.index());
    }
    pages
}

/// How many blocks there are of each level, the cells' first.
fn blocks(order: &Order<u64>, guard: &Guard) -> [usize; LEVELS as usize] {
    fn count(slot: &Slot<u64>, level: u32, counts: &mut [usize], guard: &Guard) {
        if let (Content::Block(child), true) = (slot.load(guard).content(), level > 0) {
            counts[level as usize - 1] += 1;
            (0..FAN).filter(|_| level > 1).for_each(|at| count(child.block.at(at), level - 1, counts, guard));
        }
    }
    let mut counts = [0; LEVELS as usize];
    for page in pages(order, guard) {
        count(&order.directory.first_from(page, guard).unwrap().root, LEVELS, &mut counts, guard);
    }
    counts
}

/// Ticks of many densities, from neighbours to one for many pages.
fn ticks() -> Vec<u64> {
    let mut ticks: Vec<u64> = (0..20).collect();
    ticks.extend((0..40).map(|i| 100 + 5 * i));
    ticks.extend((0..40).map(|i| 2 * SPAN + 17 * i));
    ticks.extend((0..10).map(|i| 5 * SPAN + 100 * i));
    ticks.extend((0..10).map(|i| (8 + i * i) * SPAN + i));
    ticks
}

#[test]
fn the_first_at_or_above_a_tick_is_found_whatever_the_order_of_filling() {
    let ticks = ticks();
    let clock = late();
    for stride in [1, 7, ticks.len() - 1] {
        let (order, guard) = order();
        for i in 0..ticks.len() {
            let tick = &ticks[i * stride % ticks.len()];
            order.fill(*tick, tick, &clock, &guard);
            // Once more, as another filler does.
            order.fill(*tick, tick, &clock, &guard);
        }
        for from in 0..9 * SPAN {
            let expected = ticks.iter().find(|tick| **tick >= from).map(|tick| (*tick, *tick));
            assert_eq!(first_from(&order, from, &clock, &guard), expected, "from {from}");
        }
        let mut visited = Vec::new();
        order.visit(&guard, |tick, node| visited.push((tick, *node)));
        assert!(visited.iter().copied().eq(ticks.iter().map(|tick| (*tick, *tick))), "{visited:?}");
    }
}

#[test]
fn a_cursor_stays_until_it_passes_and_finds_what_comes_above_it() {
    let (order, guard) = order();
    let (clock, ticks) = (late(), [3, 4, 9, SPAN + 1, 2 * SPAN]);
    order.fill(4, &ticks[1], &clock, &guard);
    let mut cursor = order.cursor(&guard);
    assert_eq!(cursor.here(&clock), Some((4, &4)));
    assert_eq!(cursor.here(&clock), Some((4, &4)));
    for tick in &ticks {
        order.fill(*tick, tick, &clock, &guard);
    }
    order.clear(4, &ticks[1], &clock, &guard);
    assert_eq!(cursor.here(&clock), Some((9, &9)), "what came in below is not looked back for");
    cursor.pass(9);
    assert_eq!(cursor.here(&clock), Some((SPAN + 1, &ticks[3])));
    cursor.pass(SPAN + 1);
    order.clear(2 * SPAN, &ticks[4], &clock, &guard);
    assert_eq!(cursor.here(&clock), None);
    order.fill(3 * SPAN, &ticks[4], &clock, &guard);
    assert_eq!(cursor.here(&clock), None, "the end is the end");
    assert_eq!(order.cursor(&guard).here(&clock), Some((3, &3)));
}

/// As who meets an entry that is stale fills the one where its node is now.
#[test]
fn what_is_filled_above_the_entry_that_a_visit_is_at_is_met() {
    for stride in [1, 7, SPAN / 2, SPAN, 5 * SPAN] {
        let (order, guard) = order();
        let (clock, nodes) = (late(), [0, 1, 2, 3].map(|i| i * stride));
        order.fill(nodes[0], &nodes[0], &clock, &guard);
        let mut met = Vec::new();
        order.visit(&guard, |tick, node| {
            assert_eq!(tick, *node);
            met.push(tick);
            if let Some(next) = nodes.get(met.len()) {
                order.fill(*next, next, &clock, &guard);
                order.clear(tick, node, &clock, &guard);
            }
        });
        assert_eq!(met, nodes, "stride {stride}");
    }
}

#[test]
fn what_is_alone_among_many_ticks_has_no_block() {
    let (order, guard) = order();
    let (clock, far, ticks) = (late(), 3 * SPAN + 5, [0, SPAN - 1, SPAN - 2]);
    // Twice, as by two fillers; and in a page that is not the first.
    for tick in [&ticks[0], &ticks[0], &far, &far] {
        order.fill(*tick, tick, &clock, &guard);
    }
    assert_eq!(blocks(&order, &guard), [0, 0, 0]);
    order.clear(far, &far, &clock, &guard);
    order.fill(ticks[1], &ticks[1], &clock, &guard);
    assert_eq!(blocks(&order, &guard), [0, 0, 1], "the halves of the page");
    order.fill(ticks[2], &ticks[2], &clock, &guard);
    assert_eq!(blocks(&order, &guard), [1, 1, 1], "neighbours");
    order.clear(ticks[0], &ticks[0], &clock, &guard);
    order.clear(ticks[1], &ticks[1], &clock, &guard);
    assert_eq!(blocks(&order, &guard), [1, 1, 1]);
    order.clear(ticks[2], &ticks[2], &clock, &guard);
    assert_eq!(blocks(&order, &guard), [0, 0, 0], "empty ones go at once");
    order.clear(ticks[2], &ticks[2], &clock, &guard);
    assert_eq!(first_from(&order, 0, &clock, &guard), None);
}

#[test]
fn a_page_goes_once_it_is_empty_and_behind_the_clock_and_no_shortcut_leads_to_it() {
    let (order, guard) = order();
    let (inside, behind) = (Clock::starting_at(SPAN - 1), Clock::starting_at(4 * SPAN));
    let nodes = [0; 4];
    let fill = |tick: u64, clock| order.fill(tick, &nodes[(tick / SPAN) as usize], clock, &guard);
    let clear = |tick: u64| order.clear(tick, &nodes[(tick / SPAN) as usize], &behind, &guard);
    let first = |clock| order.first_from(0, clock, &guard).map(|(tick, _)| tick);
    fill(1, &inside);
    fill(2, &inside);
    clear(1);
    clear(2);
    assert_eq!(pages(&order, &guard), [0], "it is the youngest");
    fill(SPAN, &behind);
    assert_eq!(pages(&order, &guard), [1], "it was done when it was not the youngest any more");
    fill(3, &behind);
    clear(3);
    assert_eq!(pages(&order, &guard), [0, 1], "the oldest in which something was cleared");
    assert_eq!(first(&inside), Some(SPAN));
    assert_eq!(pages(&order, &guard), [0, 1], "ticks of it are still to come");
    assert_eq!(first(&behind), Some(SPAN));
    assert_eq!(pages(&order, &guard), [1], "whoever passes an empty one takes it away");
    fill(2 * SPAN, &behind);
    fill(3 * SPAN, &behind);
    clear(2 * SPAN);
    assert_eq!(pages(&order, &guard), [1, 3], "no shortcut led to it");
}

/// What is filled behind the clock comes into pages of its own, again and again.
#[test]
fn shortcuts_to_pages_that_are_sealed_lead_nobody_astray() {
    let (order, guard) = order();
    let (clock, node, young) = (late(), 0, 9 * SPAN);
    order.fill(young, &node, &clock, &guard);
    // The second fill of a page in turn leads a shortcut there. Where another page is filled in between it stays at a page that is sealed, and
    // a clear leads another shortcut to the oldest page, which is sealed by the next round.
    for (round, ticks) in [[1, 2], [1, 2], [SPAN, 1], [SPAN, 1], [SPAN, 1], [1, 2]].into_iter().enumerate() {
        for tick in ticks {
            order.fill(tick, &node, &clock, &guard);
        }
        assert_eq!(first_from(&order, 0, &clock, &guard), Some((1, 0)), "round {round}");
        for tick in ticks {
            order.clear(tick, &node, &clock, &guard);
        }
        assert_eq!(first_from(&order, 0, &clock, &guard), Some((young, 0)), "round {round}");
        assert_eq!(pages(&order, &guard), [9], "the scan has taken it away");
    }
}

#[test]
fn pages_that_were_emptied_while_the_clock_was_in_them_do_not_pile_up() {
    let (order, guard) = order();
    let (clock, node) = (Clock::starting_at(1), 0);
    for _ in 0..20 * SPAN {
        let tick = clock.tick().unwrap();
        // Not the last of a page, behind which the clock is in the next.
        if tick % SPAN < SPAN / 2 {
            order.fill(tick, &node, &clock, &guard);
            order.clear(tick, &node, &clock, &guard);
        }
    }
    let pages = pages(&order, &guard);
    assert!(pages.len() <= 1 && pages.iter().all(|page| *page >= clock.now() / SPAN - 1), "{pages:?}");
}

#[test]
fn a_node_that_moves_up_leaves_no_blocks_behind() {
    let (order, guard) = order();
    let (clock, node) = (late(), 0);
    order.fill(0, &node, &clock, &guard);
    for tick in 1..3 * SPAN {
        order.fill(tick, &node, &clock, &guard);
        order.clear(tick - 1, &node, &clock, &guard);
        let blocks: usize = blocks(&order, &guard).iter().sum();
        assert!(blocks <= LEVELS as usize, "{blocks} blocks at {tick}");
    }
}

#[test]
fn an_order_gives_up_its_pages_when_it_is_dropped() {
    let (order, guard) = order();
    let (clock, node) = (late(), 0);
    for tick in [2 * SPAN, SPAN, SPAN + 1, 1] {
        order.fill(tick, &node, &clock, &guard);
    }
    order.clear(1, &node, &clock, &guard);
    let pages = [0, 1, 2]
        .map(|index| Arc::clone(order.directory.get_or_insert_with(index, || unreachable!("it is there"), &guard)));
    let counts = || pages.each_ref().map(Arc::strong_count);
    assert_eq!(counts(), [3; 3], "the directory's, a shortcut's, and this");
    drop((order, guard));
    assert_eq!(counts(), [1; 3]);
}
