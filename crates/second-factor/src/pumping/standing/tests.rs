use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::pumping::Cap;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time of the test")
}

/// Numbers of one application, as the store keeps them.
#[derive(Default)]
struct Numbers {
    prefixes: BTreeMap<u8, Newcomers>,
    known: BTreeMap<(u8, u32), Known>,
}

impl Numbers {
    fn record(&self, (prefix, number): (u8, u32)) -> Record {
        Record {
            known: self.known.get(&(prefix, number)).copied(),
            newcomers: self.prefixes.get(&prefix).copied().unwrap_or_default(),
        }
    }

    fn keep(&mut self, (prefix, number): (u8, u32), Record { known, newcomers }: Record) {
        self.prefixes.insert(prefix, newcomers);
        self.known.extend(known.map(|known| ((prefix, number), known)));
    }

    fn standing(&self, to: (u8, u32), second: i64) -> Standing {
        self.record(to).standing(at(second))
    }

    fn sent(&mut self, to: (u8, u32), second: i64) -> Standing {
        let standing = self.standing(to, second);
        self.keep(to, self.record(to).sent(at(second)));
        standing
    }

    fn entered(&mut self, to: (u8, u32), second: i64) {
        self.keep(to, self.record(to).entered(at(second)));
    }
}

fn budget(of: Of, most: u32) -> Budget {
    Budget::new(of, "x", Cap { most, seconds: 3_600 }, at(0))
}

#[test]
fn of_a_shared_cap_a_quarter_is_kept_for_who_converts_and_half_from_who_does_not() {
    let open = |of, most, standing| budget(of, most).open_to(standing, KEPT_PERCENT).most;
    for of in [Of::Prefix, Of::Country, Of::Total] {
        assert_eq!(open(of, 500, Standing::Doubtful), 250);
        assert_eq!(open(of, 500, Standing::Unknown), 375);
        assert_eq!(open(of, 500, Standing::Converts), 500);
        assert_eq!(open(of, 3, Standing::Doubtful), 3, "too few to keep any");
    }
    for of in [Of::Number, Of::Address, Of::User, Of::Own] {
        assert_eq!(open(of, 500, Standing::Doubtful), 500, "{of:?} is nobody else's");
    }
    assert_eq!(budget(Of::Total, 500).open_to(Standing::Doubtful, 0).most, 500, "nothing is kept");
}

#[test]
fn a_prefix_where_nobody_enters_a_code_is_doubtful_from_the_fifth_on() {
    let mut numbers = Numbers::default();
    let standings: Vec<_> = (0..7).map(|number| numbers.sent((1, number), 0)).collect();
    assert_eq!(standings[..5], [Standing::Unknown; 5]);
    assert_eq!(standings[5..], [Standing::Doubtful; 2]);
    assert_eq!(numbers.standing((2, 0), 0), Standing::Unknown, "another prefix");
}

#[test]
fn a_prefix_where_five_newcomers_have_entered_a_code_converts_until_two_in_three_do_not() {
    let mut numbers = Numbers::default();
    for number in 0..5 {
        assert_eq!(numbers.sent((1, number), 0), Standing::Unknown, "{number}");
        numbers.entered((1, number), MINUTE);
    }
    for number in 5..16 {
        assert_eq!(numbers.sent((1, number), 2 * MINUTE), Standing::Converts, "{number}");
    }
    assert_eq!(numbers.standing((1, 99), 2 * MINUTE), Standing::Doubtful, "5 of 16");
}

#[test]
fn one_number_that_enters_many_codes_is_one() {
    let mut numbers = Numbers::default();
    for code in 0..100 {
        numbers.sent((1, 1), code * DAY / 20);
        numbers.entered((1, 1), code * DAY / 20);
    }
    assert_eq!(numbers.standing((1, 2), 5 * DAY), Standing::Unknown);
    assert_eq!(numbers.record((1, 1)).newcomers.entered, 1);
}

#[test]
fn a_known_number_converts_by_itself_whatever_its_prefix_does() {
    let mut numbers = Numbers::default();
    numbers.sent((1, 1), 0);
    numbers.entered((1, 1), 0);
    for number in 2..20 {
        numbers.sent((1, number), MINUTE);
    }
    assert_eq!(numbers.standing((1, 1), HOUR - 1), Standing::Unknown, "it has just had one");
    assert_eq!(numbers.sent((1, 1), HOUR), Standing::Converts);
    assert_eq!(numbers.sent((1, 1), HOUR + MINUTE), Standing::Converts, "the same again");
    assert_eq!(numbers.sent((1, 1), HOUR + 2 * MINUTE), Standing::Unknown, "it enters none");
    numbers.sent((1, 1), 30 * DAY);
    assert_eq!(numbers.record((1, 1)).newcomers.sent, 1, "it is not known any more");
}

#[test]
fn what_is_counted_of_a_prefix_is_half_after_a_week_and_gone_after_two() {
    let mut numbers = Numbers::default();
    for number in 0..12 {
        numbers.sent((1, number), 0);
        numbers.entered((1, number), 0);
        numbers.sent((2, number), 0);
    }
    let standings = |second| [1, 2].map(|prefix| numbers.standing((prefix, 99), second));
    assert_eq!(standings(7 * DAY - 1), [Standing::Converts, Standing::Doubtful]);
    assert_eq!(standings(7 * DAY), [Standing::Converts, Standing::Doubtful], "six of each are enough");
    assert_eq!(standings(14 * DAY), [Standing::Unknown; 2]);
}

#[test]
fn a_clock_that_is_behind_gives_nobody_more() {
    let mut numbers = Numbers::default();
    numbers.sent((1, 1), HOUR);
    numbers.entered((1, 1), HOUR);
    assert_eq!(numbers.standing((1, 1), 0), Standing::Unknown);
    assert_eq!(numbers.standing((1, 2), 0), Standing::Unknown);
}

#[test]
fn codes_that_never_left_are_held_against_no_number_and_no_prefix() {
    let mut numbers = Numbers::default();
    for number in 0..9 {
        numbers.sent((1, number), i64::from(number));
    }
    assert_eq!(numbers.standing((1, 9), MINUTE), Standing::Doubtful);
    for number in 0..9 {
        let record = numbers.record((1, number)).taken_back(at(number.into()), at(MINUTE));
        numbers.keep((1, number), record);
    }
    assert_eq!(numbers.standing((1, 9), MINUTE), Standing::Unknown);
    assert_eq!(numbers.prefixes[&1].sent, 0);

    let known = (2, 0);
    numbers.sent(known, 0);
    numbers.entered(known, 0);
    numbers.sent(known, HOUR);
    numbers.sent(known, HOUR + MINUTE);
    assert_eq!(numbers.standing(known, 2 * HOUR), Standing::Unknown, "it had its two");
    numbers.keep(known, numbers.record(known).taken_back(at(HOUR), at(2 * HOUR)));
    assert_eq!(numbers.standing(known, 2 * HOUR), Standing::Converts);
    let later = numbers.record(known).taken_back(at(-1), at(2 * HOUR));
    assert_eq!(later, numbers.record(known), "what it entered since has settled that");
}

/// What somebody does who owns a few numbers: so many minutes later a code is asked for, to one of his own or another's, and
/// he enters it where it is his and he likes to.
fn acts() -> impl Strategy<Value = Vec<(i64, (u8, u32), bool)>> {
    let to = (0_u8..3, prop_oneof![0_u32..8, 8_u32..500]);
    prop::collection::vec((0_i64..20, to, any::<bool>()), 0..600)
}

proptest! {
    /// Numbers below `owned` in each of three prefixes are the pumper's. As long as those are fewer than are enough, what
    /// he gets of the kept part is two codes an hour for each.
    #[test]
    fn a_few_numbers_do_not_buy_what_is_kept(acts in acts(), owned in 0_u32..ENOUGH) {
        let mut numbers = Numbers::default();
        let (mut minute, mut kept) = (0, Vec::<((u8, u32), i64)>::new());
        for (later, to, enters) in acts {
            minute += later;
            if numbers.sent(to, minute * MINUTE) == Standing::Converts {
                prop_assert!(to.1 < owned, "to a number of somebody else's");
                let hour = kept.iter().filter(|(it, at)| *it == to && minute - at < 60).count();
                prop_assert!(hour < 2, "a third one within an hour");
                kept.push((to, minute));
            }
            if enters && to.1 < owned {
                numbers.entered(to, minute * MINUTE);
            }
        }
    }

    /// With more of them in a prefix he gets two codes to others for each of his numbers in a week, and no more.
    #[test]
    fn more_numbers_buy_two_codes_each(acts in acts(), owned in ENOUGH..8) {
        let mut numbers = Numbers::default();
        let (mut minute, mut others): (i64, BTreeMap<u8, u32>) = (0, BTreeMap::new());
        for (later, to, enters) in acts {
            minute += later;
            if minute >= 7 * 24 * 60 {
                break;
            }
            let is_own = to.1 < owned;
            if numbers.sent(to, minute * MINUTE) == Standing::Converts && !is_own {
                *others.entry(to.0).or_default() += 1;
            }
            if enters && is_own {
                numbers.entered(to, minute * MINUTE);
            }
        }
        prop_assert!(others.values().all(|sent| *sent <= 2 * owned + 1), "{others:?}");
    }

    /// No part is more than the whole, and whoever stands better gets no less.
    #[test]
    fn no_part_is_more_than_the_whole(most in any::<u32>(), kept in any::<u32>()) {
        let open = |standing| budget(Of::Total, most).open_to(standing, kept).most;
        prop_assert_eq!(open(Standing::Converts), most);
        prop_assert!(open(Standing::Unknown) <= most);
        prop_assert!(open(Standing::Doubtful) <= open(Standing::Unknown));
        prop_assert_eq!(open(Standing::Doubtful) == 0, most == 0, "each prefix may prove itself");
    }
}
