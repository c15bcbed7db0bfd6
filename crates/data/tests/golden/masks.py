"""Prints the masks that `the_masks_of_a_seed_stay_what_they_are` expects; needs nothing.

The documented scheme from the ground up: Philox4x32-10 (Salmon et al. 2011), the key of a step, one
block for each position. Printed are position, token shown, token guessed.
"""

VOCAB = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . -".split()
MASK, ORDINARY = 32, range(4, 31)
SEED, STREAM, EPOCH, SEQUENCE = 42, 8, 3, 11
LOW = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & LOW, (p0 >> 32) ^ c[3] ^ k[1], p0 & LOW]
        k = [(k[0] + 0x9E3779B9) & LOW, (k[1] + 0xBB67AE85) & LOW]
    return c


def shown(token, draw):
    if draw[1] < round(0.8 * 2**32):
        return MASK
    if draw[1] < round(0.9 * 2**32):
        return ORDINARY[(draw[2] | draw[3] << 32) * len(ORDINARY) >> 64]
    return token


def main():
    key = philox([EPOCH, 0, STREAM, 0], [SEED, 0])[:2]
    for position, letter in enumerate("MKTAYIAKQRQISFVKSHFSRQ", start=1):
        draw = philox([SEQUENCE, 0, position, 0], key)
        if draw[0] < round(0.15 * 2**32):
            token = VOCAB.index(letter)
            print((position, shown(token, draw), token))


if __name__ == "__main__":
    main()
