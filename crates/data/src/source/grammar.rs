//! The grammar of the built-in corpus: a small world of persons and the sentences about it.
//!
//! Every sentence is the result of a chain of weighted choices, and no two chains give the same
//! sentence, so the probability of a text is the product of the probabilities of its choices.

use tenon_base::rng::Rng;

/// Answers each question of the grammar: which of the weighted options to take.
pub(super) trait Chooser {
    /// An index below `weights.len()`.
    fn choose(&mut self, weights: &[u32]) -> usize;

    /// An index below `n`, all equally likely.
    fn uniform(&mut self, n: usize) -> usize {
        self.choose(&vec![1; n])
    }
}

/// Draws choices and adds up what they cost.
pub(super) struct Draw {
    pub(super) rng: Rng,
    /// Σ −ln(weight / Σ weights) over the choices made.
    pub(super) nats: f64,
}

impl Chooser for Draw {
    fn choose(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|&w| u64::from(w)).sum();
        let mut left = self.rng.below(total);
        for (index, &weight) in weights.iter().enumerate() {
            match left.checked_sub(weight.into()) {
                Some(rest) => left = rest,
                None => {
                    self.nats += libm::log(total as f64 / f64::from(weight));
                    return index;
                }
            }
        }
        unreachable!("the draw is below the sum of the weights")
    }
}

const NAMES: [(&str, Gender); 40] = {
    use Gender::{He, She};
    [
        ("Anna", She),
        ("Ben", He),
        ("Clara", She),
        ("David", He),
        ("Ella", She),
        ("Felix", He),
        ("Grace", She),
        ("Hugo", He),
        ("Ida", She),
        ("Jonas", He),
        ("Karen", She),
        ("Leo", He),
        ("Mia", She),
        ("Noah", He),
        ("Olga", She),
        ("Paul", He),
        ("Rosa", She),
        ("Simon", He),
        ("Tilda", She),
        ("Victor", He),
        ("Wanda", She),
        ("Xaver", He),
        ("Yara", She),
        ("Zeno", He),
        ("Alma", She),
        ("Bruno", He),
        ("Cora", She),
        ("Dario", He),
        ("Edith", She),
        ("Frank", He),
        ("Gudrun", She),
        ("Henry", He),
        ("Irene", She),
        ("Jasper", He),
        ("Lydia", She),
        ("Max", He),
        ("Nora", She),
        ("Oscar", He),
        ("Petra", She),
        ("Ralf", He),
    ]
};

/// Most persons a world can have.
pub(super) const PERSONS_MAX: usize = NAMES.len();

#[derive(Clone, Copy)]
enum Gender {
    She,
    He,
}

/// One fixed property of a person and the ways to speak of it. `{S}` is the subject, `{P}` its
/// possessive, `{O}` its object form, `{N}` the name, `{V}` the value.
struct Attribute {
    values: &'static [&'static str],
    statements: [&'static str; 3],
    questions: [&'static str; 2],
    answer: &'static str,
    clause: &'static str,
}

const ATTRIBUTES: [Attribute; 5] = [
    Attribute {
        values: &[
            "Oslo", "Rome", "Paris", "Vienna", "Lisbon", "Prague", "Dublin", "Athens", "Turin",
            "Bergen", "Krakow", "Seville", "Ghent", "Malmo", "Basel", "Riga",
        ],
        statements: [
            "{S} lives in {V}.",
            "{P} home is in {V}.",
            "You can meet {O} in {V}.",
        ],
        questions: ["Where does {N} live?", "In which town is the home of {N}?"],
        answer: "In {V}.",
        clause: "who lives in {V}",
    },
    Attribute {
        values: &[
            "cat", "dog", "horse", "parrot", "rabbit", "goat", "duck", "hamster", "turtle", "pony",
            "lizard", "goose",
        ],
        statements: [
            "{S} has a {V}.",
            "{P} pet is a {V}.",
            "A {V} waits at home for {O}.",
        ],
        questions: ["Which animal does {N} have?", "What is the pet of {N}?"],
        answer: "A {V}.",
        clause: "who has a {V}",
    },
    Attribute {
        values: &[
            "red", "blue", "green", "yellow", "white", "black", "brown", "purple",
        ],
        statements: [
            "{S} likes {V} best.",
            "{P} favourite colour is {V}.",
            "The {V} coat is for {O}.",
        ],
        questions: [
            "Which colour does {N} like best?",
            "What is the favourite colour of {N}?",
        ],
        answer: "It is {V}.",
        clause: "who likes {V} best",
    },
    Attribute {
        values: &[
            "rice", "bread", "soup", "cheese", "fish", "pasta", "honey", "salad", "porridge",
            "cake",
        ],
        statements: [
            "{S} eats {V} every day.",
            "{P} favourite food is {V}.",
            "Please cook {V} for {O}.",
        ],
        questions: [
            "What does {N} eat every day?",
            "What is the favourite food of {N}?",
        ],
        answer: "Always {V}.",
        clause: "who eats {V} every day",
    },
    Attribute {
        values: &[
            "baker", "doctor", "farmer", "painter", "teacher", "driver", "sailor", "nurse",
            "tailor", "singer",
        ],
        statements: [
            "{S} works as a {V}.",
            "{P} job is that of a {V}.",
            "People know {O} as a {V}.",
        ],
        questions: ["What is the job of {N}?", "As what does {N} work?"],
        answer: "As a {V}.",
        clause: "who works as a {V}",
    },
];

/// A person: index of the name, of the value of each attribute, and of the friend in the world.
#[derive(Clone, Debug)]
struct Person {
    name: usize,
    values: [usize; ATTRIBUTES.len()],
    friend: usize,
}

impl Person {
    fn name(&self) -> &'static str {
        NAMES[self.name].0
    }

    fn value(&self, attribute: usize) -> &'static str {
        ATTRIBUTES[attribute].values[self.values[attribute]]
    }
}

/// The fixed facts that all documents of a corpus agree on.
#[derive(Clone, Debug)]
pub(super) struct World {
    persons: Vec<Person>,
}

/// Smallest and largest number of lines of a document.
const LINES: std::ops::RangeInclusive<usize> = 3..=8;
const NUMBER_MAX: usize = 12;
const COUNT_FROM_MAX: usize = 20;

impl World {
    /// Gives `n_persons` persons their attributes; these draws are no part of a text's entropy.
    pub(super) fn new(rng: &mut Rng, n_persons: usize) -> Self {
        let mut names: Vec<usize> = (0..PERSONS_MAX).collect();
        let persons = (0..n_persons).map(|i| {
            let other = i + rng.below((PERSONS_MAX - i) as u64) as usize;
            names.swap(i, other);
            let values =
                std::array::from_fn(|a| rng.below(ATTRIBUTES[a].values.len() as u64) as usize);
            // Anyone but the person itself.
            let friend = (i + 1 + rng.below(n_persons as u64 - 1) as usize) % n_persons;
            Person {
                name: names[i],
                values,
                friend,
            }
        });
        World {
            persons: persons.collect(),
        }
    }

    /// One document: lines about one person, each ended by a line feed.
    pub(super) fn document(&self, chooser: &mut impl Chooser) -> String {
        let topic = chooser.uniform(self.persons.len());
        let n_lines = LINES.start() + chooser.uniform(LINES.count());
        let mut text = self.statement(topic, false, chooser) + "\n";
        for _ in 1..n_lines {
            text += &self.line(topic, chooser);
            text.push('\n');
        }
        text
    }

    /// A line after the first, in a document about person `topic`.
    pub(super) fn line(&self, topic: usize, chooser: &mut impl Chooser) -> String {
        match chooser.choose(&[6, 4, 2, 2, 3]) {
            0 => {
                let pronoun = chooser.choose(&[1, 2]) == 1;
                self.statement(topic, pronoun, chooser)
            }
            1 => self.question(topic, chooser),
            2 => self.friend(topic, chooser),
            3 => self.counting(topic, chooser),
            _ => arithmetic(chooser),
        }
    }

    fn statement(&self, topic: usize, pronoun: bool, chooser: &mut impl Chooser) -> String {
        let person = &self.persons[topic];
        let attribute = chooser.uniform(ATTRIBUTES.len());
        let form = chooser.uniform(3);
        let possessive = format!("{}'s", person.name());
        let [subject, of_subject, object] = match (pronoun, NAMES[person.name].1) {
            (false, _) => [person.name(), &possessive, person.name()],
            (true, Gender::She) => ["She", "Her", "her"],
            (true, Gender::He) => ["He", "His", "him"],
        };
        ATTRIBUTES[attribute].statements[form]
            .replace("{S}", subject)
            .replace("{P}", of_subject)
            .replace("{O}", object)
            .replace("{V}", person.value(attribute))
    }

    fn question(&self, topic: usize, chooser: &mut impl Chooser) -> String {
        // As often about the topic as about all others together.
        let mut weights = vec![1; self.persons.len()];
        weights[topic] = self.persons.len() as u32 - 1;
        let person = chooser.choose(&weights);
        let attribute = chooser.uniform(ATTRIBUTES.len());
        let (question, answer) = self.ask(person, attribute, chooser.uniform(2));
        question + &answer
    }

    fn ask(&self, person: usize, attribute: usize, form: usize) -> (String, String) {
        let person = &self.persons[person];
        let question = ATTRIBUTES[attribute].questions[form].replace("{N}", person.name());
        let answer = ATTRIBUTES[attribute]
            .answer
            .replace("{V}", person.value(attribute));
        (format!("Q: {question} A:"), format!(" {answer}"))
    }

    /// Every question about every person with its answer.
    pub(super) fn questions(&self) -> Vec<(String, String)> {
        let mut questions = Vec::new();
        for person in 0..self.persons.len() {
            for attribute in 0..ATTRIBUTES.len() {
                questions.extend((0..2).map(|form| self.ask(person, attribute, form)));
            }
        }
        questions
    }

    fn friend(&self, topic: usize, chooser: &mut impl Chooser) -> String {
        let person = &self.persons[topic];
        let friend = &self.persons[person.friend];
        let attribute = chooser.uniform(ATTRIBUTES.len());
        let clause = ATTRIBUTES[attribute]
            .clause
            .replace("{V}", friend.value(attribute));
        format!("{}'s friend is {}, {clause}.", person.name(), friend.name())
    }

    fn counting(&self, topic: usize, chooser: &mut impl Chooser) -> String {
        let from = 1 + chooser.uniform(COUNT_FROM_MAX);
        let to = from + 2 + chooser.uniform(4);
        let up: Vec<String> = (from..=to).map(|n| n.to_string()).collect();
        let name = self.persons[topic].name();
        match chooser.uniform(2) {
            0 => format!("{name} counts from {from} to {to}: {}.", up.join(", ")),
            _ => {
                let down: Vec<String> = up.into_iter().rev().collect();
                format!("{name} counts from {to} to {from}: {}.", down.join(", "))
            }
        }
    }
}

fn arithmetic(chooser: &mut impl Chooser) -> String {
    let (name, sign, a, b, result) = match chooser.uniform(3) {
        0 => {
            let (a, b) = (
                chooser.uniform(NUMBER_MAX + 1),
                chooser.uniform(NUMBER_MAX + 1),
            );
            ("plus", '+', a, b, a + b)
        }
        1 => {
            let a = chooser.uniform(NUMBER_MAX + 1);
            let b = chooser.uniform(a + 1);
            ("minus", '-', a, b, a - b)
        }
        _ => {
            let (a, b) = (chooser.uniform(10), chooser.uniform(10));
            ("times", '*', a, b, a * b)
        }
    };
    match chooser.uniform(2) {
        0 => format!("{a} {sign} {b} = {result}."),
        _ => format!("Q: What is {a} {name} {b}? A: {result}."),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tenon_base::rng::{Key, Stream};

    use super::*;

    /// Follows a script, then takes first options; remembers the odds and how many options it saw.
    #[derive(Default)]
    struct Scripted {
        script: Vec<usize>,
        arities: Vec<usize>,
        probability: f64,
    }

    impl Chooser for Scripted {
        fn choose(&mut self, weights: &[u32]) -> usize {
            let taken = self.script.get(self.arities.len()).copied().unwrap_or(0);
            self.arities.push(weights.len());
            self.probability *= f64::from(weights[taken]) / f64::from(weights.iter().sum::<u32>());
            taken
        }
    }

    /// All sentences that a rule can make, with their probabilities; fails when two chains of
    /// choices make the same one.
    fn enumerate(rule: impl Fn(&mut Scripted) -> String) -> BTreeMap<String, f64> {
        let mut sentences = BTreeMap::new();
        let mut script = Vec::new();
        loop {
            let mut chooser = Scripted {
                script,
                arities: Vec::new(),
                probability: 1.0,
            };
            let sentence = rule(&mut chooser);
            let twice = sentences.insert(sentence.clone(), chooser.probability);
            assert_eq!(twice, None, "two derivations of {sentence:?}");
            script = chooser.script;
            script.resize(chooser.arities.len(), 0);
            while let Some(last) = script.pop() {
                if last + 1 < chooser.arities[script.len()] {
                    script.push(last + 1);
                    break;
                }
            }
            if script.is_empty() {
                return sentences;
            }
        }
    }

    fn world(n_persons: usize) -> World {
        World::new(&mut Key::new(3, Stream::Corpus).at(0, 0), n_persons)
    }

    #[test]
    fn no_sentence_has_two_derivations_and_the_odds_sum_to_one() {
        let world = world(PERSONS_MAX);
        for topic in [0, 7, PERSONS_MAX - 1] {
            let lines = enumerate(|chooser| world.line(topic, chooser));
            let sum: f64 = lines.values().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
            assert!(lines.len() > 1000, "{} sentences", lines.len());
            assert!(
                lines
                    .keys()
                    .all(|line| line.is_ascii() && !line.contains(['\n', '{', '}']))
            );
        }
    }

    #[test]
    fn a_draw_costs_the_probability_of_what_it_drew() {
        let world = world(5);
        let lines = enumerate(|chooser| world.line(2, chooser));
        for index in 0..500 {
            let rng = Key::new(9, Stream::Corpus).at(1, index);
            let mut draw = Draw { rng, nats: 0.0 };
            let line = world.line(2, &mut draw);
            assert!((draw.nats + lines[&line].ln()).abs() < 1e-12, "{line}");
        }
    }

    #[test]
    fn first_lines_tell_the_person() {
        let world = world(PERSONS_MAX);
        let first = enumerate(|chooser| {
            let topic = chooser.uniform(PERSONS_MAX);
            world.statement(topic, false, chooser)
        });
        assert_eq!(first.len(), PERSONS_MAX * 5 * 3);
    }

    #[test]
    fn names_and_values_are_distinct_and_nobody_is_their_own_friend() {
        for n_persons in [2, 3, PERSONS_MAX] {
            let world = world(n_persons);
            for (i, person) in world.persons.iter().enumerate() {
                assert_ne!(person.friend, i);
                assert!(
                    world.persons[..i]
                        .iter()
                        .all(|other| other.name != person.name)
                );
            }
        }
        for attribute in &ATTRIBUTES {
            let mut values = attribute.values.to_vec();
            values.sort_unstable();
            values.dedup();
            assert_eq!(values.len(), attribute.values.len());
        }
    }
}
