"""The lengths of the pairs: DialogSum's, recorded.

Measured once: every tenth row of DialogSum's training set, tokenised by house/decoder and scaled so that a pair has 206
tokens in the mean, 29 of them completion (its end included), as an 8k vocabulary gives. `PAIRS` are 120 rows of those,
evenly spread by the length of the dialogue: `(prompt tokens, completion tokens)`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

PAIRS = (
    (48, 15), (53, 12), (56, 13), (58, 15), (61, 13), (63, 10), (65, 13), (67, 15), (70, 23), (73, 12), (75, 13),
    (78, 21), (81, 11), (84, 13), (86, 16), (87, 28), (90, 23), (93, 28), (98, 15), (99, 24), (102, 15), (105, 26),
    (107, 19), (110, 15), (112, 18), (114, 21), (116, 15), (118, 15), (118, 25), (121, 17), (121, 19), (122, 23),
    (124, 21), (124, 23), (125, 24), (126, 24), (127, 23), (131, 19), (131, 27), (132, 29), (134, 30), (136, 21),
    (137, 21), (137, 35), (139, 28), (140, 21), (141, 31), (143, 26), (144, 23), (145, 13), (147, 13), (147, 25),
    (148, 20), (149, 29), (150, 21), (153, 21), (153, 24), (155, 32), (157, 13), (159, 32), (160, 30), (162, 29),
    (163, 35), (165, 23), (166, 29), (166, 29), (168, 27), (170, 23), (172, 31), (175, 21), (176, 29), (178, 37),
    (179, 33), (181, 38), (182, 26), (185, 33), (186, 25), (188, 26), (190, 33), (192, 23), (194, 33), (196, 30),
    (197, 42), (199, 39), (202, 41), (205, 26), (210, 33), (213, 27), (215, 42), (219, 27), (221, 29), (227, 35),
    (229, 36), (231, 37), (234, 31), (236, 39), (239, 21), (243, 41), (245, 33), (249, 32), (253, 27), (256, 41),
    (259, 41), (263, 35), (268, 44), (273, 41), (276, 41), (282, 53), (287, 56), (294, 49), (303, 59), (308, 40),
    (315, 43), (327, 43), (337, 54), (350, 45), (374, 42), (411, 55), (470, 53), (589, 93),
)  # fmt: skip


def lengths(count: int, seed: int = 0) -> Iterator[tuple[int, int]]:
    """So many pairs of (prompt, completion) lengths: all of `PAIRS` in a drawn order, then all again."""
    stream = random.Random(f"lengths:{seed}")
    left: list[tuple[int, int]] = []
    for _ in range(count):
        if not left:
            left = list(PAIRS)
            stream.shuffle(left)
        yield left.pop()
