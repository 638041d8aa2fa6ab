//! What a request costs with all that it used beside plain text.

use super::{Cost, Exact, Extras, FullCost, Rate, Rates, SearchContext, Tokens};

impl Rates {
    /// What `tokens` cost, with `extras`.
    ///
    /// A part without a rate of its own costs what text does, and something beside the tokens nothing: the cost is then
    /// not whole.
    pub fn full_cost(&self, tokens: &Tokens, extras: &Extras) -> FullCost {
        let has_fee = self.extra.requests.is_some();
        if *extras == Extras::default() && !has_fee {
            let Cost { total, .. } = self.cost(tokens);
            return FullCost {
                cost: total,
                is_whole: true,
            };
        }
        let rates = &self.extra;
        let is_fee_known = !has_fee || extras.search_context.is_some() || tokens.input() == 0;
        let mut is_whole = !extras.has_uncounted && is_fee_known;
        let mut part = |count: u64, rate: Option<Rate>, instead: Rate| {
            is_whole &= count == 0 || rate.is_some();
            rate.unwrap_or(instead).times(count)
        };

        let cached_audio = extras.audio_cache_read.min(extras.audio_input).min(tokens.cache_read());
        let audio_input = (extras.audio_input - cached_audio).min(tokens.uncached_input());
        let image_input = extras.image_input.min(tokens.uncached_input() - audio_input);
        let text_output = tokens.output() - tokens.reasoning();
        let audio_output = extras.audio_output.min(text_output);
        let image_output = extras.image_output.min(text_output - audio_output);
        // A fee for the request is for its searches.
        let searches = if has_fee && rates.searches.is_none() {
            0
        } else {
            extras.searches
        };

        let text = self.exact(tokens);
        let without = self.input.times(audio_input + image_input)
            + self.cache_read.unwrap_or(self.input).times(cached_audio)
            + self.output.times(audio_output + image_output);
        let parts = [
            part(audio_input, rates.audio_input, self.input),
            part(
                cached_audio,
                rates.audio_cache_read,
                self.cache_read.unwrap_or(self.input),
            ),
            part(image_input, rates.image_input.or(Some(self.input)), self.input),
            part(audio_output, rates.audio_output, self.output),
            part(image_output, rates.image_output, self.output),
            part(extras.citations, rates.citations, Rate::ZERO),
            part(searches, rates.searches, Rate::ZERO),
            // Text that is not priced so is priced by its tokens.
            rates.characters.unwrap_or_default().times(extras.characters),
        ];
        let fee = match (rates.requests, extras.search_context) {
            (Some([low, _, _]), Some(SearchContext::Low)) => low.times(1),
            (Some([_, medium, _]), Some(SearchContext::Medium)) => medium.times(1),
            (Some([_, _, high]), Some(SearchContext::High)) => high.times(1),
            (None, _) | (_, None) => Exact::default(),
        };
        let extra: Exact = parts.into_iter().chain([fee]).sum();
        FullCost {
            cost: (text.less(without) + extra).rounded(),
            is_whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Billionths, ExtraRates, TokenCounts};

    fn rate(per_million: &str) -> Rate {
        Billionths::parse(per_million).expect("a number").into()
    }

    fn rates() -> Rates {
        Rates {
            input: rate("1"),
            output: rate("10"),
            cache_read: Some(rate("0.1")),
            reasoning: Some(rate("20")),
            ..Rates::default()
        }
    }

    fn million(input: u64, cache_read: u64, output: u64) -> Tokens {
        Tokens::new(TokenCounts {
            input: input * 1_000_000,
            cache_read: cache_read * 1_000_000,
            output: output * 1_000_000,
            ..TokenCounts::default()
        })
        .expect("true counts")
    }

    fn cost(extra: ExtraRates, tokens: &Tokens, extras: Extras) -> (String, bool) {
        let full = Rates { extra, ..rates() }.full_cost(tokens, &extras);
        (full.cost.digits(), full.is_whole)
    }

    #[test]
    fn sound_and_images_cost_what_they_do_and_not_what_text_does_too() {
        let known = ExtraRates {
            audio_input: Some(rate("3")),
            audio_cache_read: Some(rate("0.5")),
            audio_output: Some(rate("30")),
            image_output: Some(rate("100")),
            image_input: Some(rate("2")),
            ..ExtraRates::default()
        };
        let used = Extras {
            audio_input: 3_000_000,
            audio_cache_read: 1_000_000,
            image_input: 1_000_000,
            audio_output: 1_000_000,
            image_output: 1_000_000,
            ..Extras::default()
        };
        // 2 of text, 2 of sound, 1 of images, 1 of cached text, 1 of cached sound; 1 of each kind of output.
        let tokens = million(7, 2, 3);
        assert_eq!(cost(known, &tokens, used), ("150.6".to_owned(), true));
        let (as_text, is_whole) = cost(ExtraRates::default(), &tokens, used);
        assert_eq!((as_text.as_str(), is_whole), ("35.2", false));
        assert_eq!(cost(known, &tokens, Extras::default()), ("35.2".to_owned(), true));
    }

    #[test]
    fn parts_beyond_their_whole_are_cut_to_it() {
        let known = ExtraRates {
            audio_input: Some(rate("3")),
            audio_output: Some(rate("30")),
            ..ExtraRates::default()
        };
        let used = Extras {
            audio_input: u64::MAX,
            audio_output: u64::MAX,
            ..Extras::default()
        };
        assert_eq!(cost(known, &million(1, 0, 1), used), ("33".to_owned(), true));
    }

    #[test]
    fn searches_citations_and_fees_come_on_top() {
        let known = ExtraRates {
            citations: Some(rate("2")),
            searches: Some(rate("5000")),
            ..ExtraRates::default()
        };
        let used = Extras {
            citations: 1_000_000,
            searches: 3,
            ..Extras::default()
        };
        let tokens = million(1, 0, 0);
        assert_eq!(cost(known, &tokens, used), ("3.015".to_owned(), true));
        let (_, is_whole) = cost(ExtraRates::default(), &tokens, used);
        assert!(!is_whole);
        let fee = ExtraRates {
            requests: Some(["5000", "8000", "12000"].map(rate)),
            ..ExtraRates::default()
        };
        for (context, total) in [
            (SearchContext::Low, "1.005"),
            (SearchContext::Medium, "1.008"),
            (SearchContext::High, "1.012"),
        ] {
            let used = Extras {
                search_context: Some(context),
                ..Extras::default()
            };
            assert_eq!(cost(fee, &tokens, used), (total.to_owned(), true));
        }
        let used = Extras {
            searches: 2,
            search_context: Some(SearchContext::Low),
            ..Extras::default()
        };
        assert_eq!(cost(fee, &tokens, used), ("1.005".to_owned(), true));
        assert_eq!(cost(fee, &tokens, Extras::default()), ("1".to_owned(), false));
    }

    #[test]
    fn text_that_is_read_out_is_charged_by_the_character_where_it_is_priced_so() {
        let by_character = Rates {
            extra: ExtraRates {
                characters: Some(rate("80")),
                ..ExtraRates::default()
            },
            ..Rates::default()
        };
        let used = Extras {
            characters: 1_000,
            ..Extras::default()
        };
        let spoken = by_character.full_cost(&million(1, 0, 0), &used);
        assert_eq!((spoken.cost.digits(), spoken.is_whole), ("0.08".to_owned(), true));
        assert_eq!(
            cost(ExtraRates::default(), &million(1, 0, 0), used),
            ("1".to_owned(), true)
        );
    }

    #[test]
    fn what_is_not_counted_leaves_the_cost_a_lower_bound() {
        let used = Extras {
            has_uncounted: true,
            ..Extras::default()
        };
        assert_eq!(
            cost(ExtraRates::default(), &million(1, 0, 0), used),
            ("1".to_owned(), false)
        );
    }
}
