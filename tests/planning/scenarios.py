"""The rollout scenarios of spec 7.7: one row a line, as the table there has them.

Columns: trigger; groups from index 0 (U ready and updated, u updated, o ready, x neither, . absent); partition/replicas
before; case of 7.4; unready/step/tail/floor/below; partition/replicas after. The numbers before them are R, U, S and Q
as the trigger leaves them.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One pass of a scenario."""

    scenario: str
    replicas: int
    max_unavailable: int | str
    max_surge: int | str
    partition: int
    trigger: str
    groups: str
    before: str
    case: str
    working: str
    after: str

    @property
    def name(self) -> str:
        """How the test reports call it."""
        return f"{self.scenario}: {self.trigger}"


ROWS: tuple[Row, ...] = (
    # S1. Defaults (R=4, U=1, S=0).
    Row("S1", 4, 1, 0, 0, "leader template edited", "oooo", "0/4", "2b", "-", "4/4"),
    Row("S1", 4, 1, 0, 0, "next pass", "oooo", "4/4", "5", "4/1/0/3/0", "3/4"),
    Row("S1", 4, 1, 0, 0, "group 3 ready, new revision", "oooU", "3/4", "5", "3/1/1/2/0", "2/4"),
    Row("S1", 4, 1, 0, 0, "group 1 updated out of order", "oUoU", "2/4", "5", "2/1/1/2/0", "2/4"),
    Row("S1", 4, 1, 0, 0, "group 3 turns unready", "oUou", "2/4", "5", "3/1/0/3/0", "2/4"),
    Row("S1", 4, 1, 0, 0, "all ready, new revision", "UUUU", "2/4", "5", "0/1/4/0/0", "0/4"),
    # S2. maxUnavailable 2 (R=4).
    Row("S2", 4, 2, 0, 0, "worker template edited", "oooo", "0/4", "2b", "-", "4/4"),
    Row("S2", 4, 2, 0, 0, "next pass", "oooo", "4/4", "5", "4/2/0/2/0", "2/4"),
    Row("S2", 4, 2, 0, 0, "3 ready", "oooU", "2/4", "5", "3/2/1/1/0", "1/4"),
    Row("S2", 4, 2, 0, 0, "2 ready", "ooUU", "1/4", "5", "2/2/2/0/0", "0/4"),
    Row("S2", 4, 2, 0, 0, "1 and 0 ready", "UUUU", "0/4", "3a", "-", "0/4"),
    # S3. maxUnavailable 10 > replicas (R=4).
    Row("S3", 4, 10, 0, 0, "worker template edited", "oooo", "0/4", "2b", "-", "4/4"),
    Row("S3", 4, 10, 0, 0, "next pass", "oooo", "4/4", "5", "4/10/0/0/0", "0/4"),
    Row("S3", 4, 10, 0, 0, "all ready", "UUUU", "0/4", "3a", "-", "0/4"),
    # S4. maxUnavailable 0, maxSurge 1 (R=4).
    Row("S4", 4, 0, 1, 0, "worker template edited", "oooo.", "0/4", "2b", "-", "4/5"),
    Row("S4", 4, 0, 1, 0, "surge 4 created", "oooou", "4/5", "5", "4/1/0/4/0", "4/5"),
    Row("S4", 4, 0, 1, 0, "4 ready", "ooooU", "4/5", "5", "4/1/1/3/0", "3/5"),
    Row("S4", 4, 0, 1, 0, "3 ready", "oooUU", "3/5", "5", "3/1/2/2/0", "2/5"),
    Row("S4", 4, 0, 1, 0, "2 ready", "ooUUU", "2/5", "5", "2/1/3/1/0", "1/5"),
    Row("S4", 4, 0, 1, 0, "1 ready", "oUUUU", "1/5", "5", "1/1/4/0/0", "0/5"),
    Row("S4", 4, 0, 1, 0, "0 ready", "UUUUU", "0/5", "5", "0/1/5/0/0", "0/4"),
    # S5. maxUnavailable 1, maxSurge 1 (R=4).
    Row("S5", 4, 1, 1, 0, "worker template edited", "oooo.", "0/4", "2b", "-", "4/5"),
    Row("S5", 4, 1, 1, 0, "next pass", "oooo.", "4/5", "5", "4/2/0/3/0", "3/5"),
    Row("S5", 4, 1, 1, 0, "4 ready", "ooooU", "3/5", "5", "4/2/1/2/0", "2/5"),
    Row("S5", 4, 1, 1, 0, "3 ready", "oooUU", "2/5", "5", "3/2/2/1/0", "1/5"),
    Row("S5", 4, 1, 1, 0, "2 ready", "ooUUU", "1/5", "5", "2/2/3/0/0", "0/5"),
    Row("S5", 4, 1, 1, 0, "1 ready", "oUUUU", "0/5", "5", "1/2/4/0/0", "0/4"),
    Row("S5", 4, 1, 1, 0, "4 gone, 0 ready", "UUUU", "0/4", "3a", "-", "0/4"),
    # S6. maxUnavailable 2, maxSurge 2 (R=4).
    Row("S6", 4, 2, 2, 0, "worker template edited", "oooo..", "0/4", "2b", "-", "4/6"),
    Row("S6", 4, 2, 2, 0, "next pass", "oooo..", "4/6", "5", "4/4/0/2/0", "2/6"),
    Row("S6", 4, 2, 2, 0, "4, 5 created", "oooouu", "2/6", "5", "4/4/0/2/0", "2/6"),
    Row("S6", 4, 2, 2, 0, "3 and 2 ready, 4 and 5 not", "ooUUuu", "2/6", "5", "2/4/0/2/0", "2/4"),
    Row("S6", 4, 2, 2, 0, "next pass", "ooUUuu", "2/4", "5", "2/2/2/0/0", "0/4"),
    Row("S6", 4, 2, 2, 0, "4, 5 gone; 1, 0 ready", "UUUU", "0/4", "3a", "-", "0/4"),
    # S7. Same settings, surge groups finish first
    Row("S7", 4, 2, 2, 0, "worker template edited", "oooo..", "0/4", "2b", "-", "4/6"),
    Row("S7", 4, 2, 2, 0, "next pass", "oooo..", "4/6", "5", "4/4/0/2/0", "2/6"),
    Row("S7", 4, 2, 2, 0, "4 ready, 5 not", "ooooUu", "2/6", "5", "4/4/0/2/0", "2/6"),
    Row("S7", 4, 2, 2, 0, "5 ready", "ooooUU", "2/6", "5", "4/4/2/0/0", "0/6"),
    Row("S7", 4, 2, 2, 0, "2 and 3 ready", "ooUUUU", "0/6", "5", "2/4/4/0/0", "0/4"),
    # S8. maxSurge 4 > replicas 2 (U=1).
    Row("S8", 2, 1, 4, 0, "worker template edited", "oo.", "0/2", "2b", "-", "2/3"),
    Row("S8", 2, 1, 4, 0, "next pass", "oo.", "2/3", "5", "2/2/0/1/0", "1/3"),
    Row("S8", 2, 1, 4, 0, "0–2 ready", "UUU", "1/3", "5", "0/2/3/0/0", "0/2"),
    # S9. Template and replicas raised together (R 4→6, U=1).
    Row("S9", 6, 1, 0, 0, "template edited and R 4→6", "oooo..", "0/4", "2a", "-", "4/6"),
    Row("S9", 6, 1, 0, 0, "5 ready", "oooo.U", "4/6", "5", "5/1/1/4/0", "4/6"),
    Row("S9", 6, 1, 0, 0, "4 ready", "ooooUU", "4/6", "5", "4/1/2/3/0", "3/6"),
    Row("S9", 6, 1, 0, 0, "3 ready", "oooUUU", "3/6", "5", "3/1/3/2/0", "2/6"),
    Row("S9", 6, 1, 0, 0, "all ready", "UUUUUU", "2/6", "5", "0/1/6/0/0", "0/6"),
    # S10. Scale-up during a rollout (R 4→6, U=1).
    Row("S10", 4, 1, 0, 0, "worker template edited", "oooo", "0/4", "2b", "-", "4/4"),
    Row("S10", 4, 1, 0, 0, "next pass", "oooo", "4/4", "5", "4/1/0/3/0", "3/4"),
    Row("S10", 4, 1, 0, 0, "3 ready", "oooU", "3/4", "5", "3/1/1/2/0", "2/4"),
    Row("S10", 6, 1, 0, 0, "R 4→6", "oooU..", "2/4", "3b", "-", "2/6"),
    Row("S10", 6, 1, 0, 0, "4 and 5 ready", "oooUUU", "2/6", "5", "3/1/3/2/0", "2/6"),
    Row("S10", 6, 1, 0, 0, "2 ready", "ooUUUU", "2/6", "5", "2/1/4/1/0", "1/6"),
    Row("S10", 6, 1, 0, 0, "1 ready", "oUUUUU", "1/6", "5", "1/1/5/0/0", "0/6"),
    # S11. Scale-down during a rollout (R 6→3, U=1).
    Row("S11", 6, 1, 0, 0, "worker template edited", "oooooo", "0/6", "2b", "-", "6/6"),
    Row("S11", 6, 1, 0, 0, "next pass", "oooooo", "6/6", "5", "6/1/0/5/0", "5/6"),
    Row("S11", 3, 1, 0, 0, "R 6→3", "oooooo", "5/6", "4", "3/-/-/-/-", "3/3"),
    Row("S11", 3, 1, 0, 0, "next pass", "oooooo", "3/3", "5", "3/1/0/2/0", "2/3"),
    Row("S11", 3, 1, 0, 0, "3–5 gone, 2 ready", "ooU", "2/3", "5", "2/1/1/1/0", "1/3"),
    Row("S11", 3, 1, 0, 0, "1 ready", "oUU", "1/3", "5", "1/1/2/0/0", "0/3"),
    # S12. Template edited and R 2→4 with maxSurge 2 (U=1).
    Row("S12", 4, 1, 2, 0, "template edited and R 2→4", "oo..", "0/2", "2a", "-", "2/4"),
    Row("S12", 4, 1, 2, 0, "next pass", "oo....", "2/4", "5", "4/1/0/3/1", "2/6"),
    Row("S12", 4, 1, 2, 0, "0–5 ready", "UUUUUU", "2/6", "5", "0/3/6/0/0", "0/4"),
    # S13. Template edited and R 6→3 with maxSurge 2 (U=1).
    Row("S13", 3, 1, 2, 0, "template edited and R 6→3", "oooooo", "0/6", "2b", "-", "6/5"),
    Row("S13", 3, 1, 2, 0, "next pass", "oooooo", "6/5", "5", "3/3/0/2/0", "2/5"),
    Row("S13", 3, 1, 2, 0, "5 gone, 0–4 ready", "UUUUU", "2/5", "5", "0/3/5/0/0", "0/3"),
    # S14. Up then down during a rollout with maxSurge 2 (R 4→6→2, U=1).
    Row("S14", 4, 1, 2, 0, "worker template edited", "oooo..", "0/4", "2b", "-", "4/6"),
    Row("S14", 4, 1, 2, 0, "next pass", "oooo..", "4/6", "5", "4/3/0/3/0", "3/6"),
    Row("S14", 6, 1, 2, 0, "4, 5 created; R 4→6", "oooouu..", "3/6", "4", "6/-/-/-/-", "3/8"),
    Row("S14", 6, 1, 2, 0, "6, 7 created", "oooouuuu", "3/8", "5", "6/3/0/5/1", "3/8"),
    Row("S14", 6, 1, 2, 0, "7 and 6 ready", "oooouuUU", "3/8", "5", "6/3/2/3/0", "3/8"),
    Row("S14", 2, 1, 2, 0, "R 6→2", "oooouuUU", "3/8", "4", "2/-/-/-/-", "3/3"),
    Row("S14", 2, 1, 2, 0, "next pass", "oooouuUU", "3/3", "5", "2/2/0/1/0", "1/3"),
    Row("S14", 2, 1, 2, 0, "3–7 gone, 2 ready", "ooU", "1/3", "5", "2/2/1/0/0", "0/3"),
    Row("S14", 2, 1, 2, 0, "1 ready", "oUU", "0/3", "5", "1/2/2/0/0", "0/2"),
    # S15. Second edit during a rollout (R=4, S=2, U=1).
    Row("S15", 4, 1, 2, 0, "worker template edited", "oooo..", "0/4", "2b", "-", "4/6"),
    Row("S15", 4, 1, 2, 0, "next pass", "oooo..", "4/6", "5", "4/3/0/3/0", "3/6"),
    Row("S15", 4, 1, 2, 0, "5 and 4 ready", "ooooUU", "3/6", "5", "4/3/2/1/0", "1/6"),
    Row("S15", 4, 1, 2, 0, "template edited again", "oooooo", "1/6", "2b", "-", "6/6"),
    Row("S15", 4, 1, 2, 0, "next pass", "oooooo", "6/6", "5", "4/3/0/3/0", "3/6"),
    Row("S15", 4, 1, 2, 0, "all ready", "UUUUUU", "3/6", "5", "0/3/6/0/0", "0/4"),
    # S16. Unhealthy group below the partition (R=4, U=2).
    Row("S16", 4, 2, 0, 0, "1 unready, then template edited", "oxoo", "0/4", "2b", "-", "4/4"),
    Row("S16", 4, 2, 0, 0, "next pass", "oxoo", "4/4", "5", "4/2/0/2/1", "3/4"),
    Row("S16", 4, 2, 0, 0, "3 ready", "oxoU", "3/4", "5", "3/2/1/1/0", "1/4"),
    Row("S16", 4, 2, 0, 0, "2 ready", "oxUU", "1/4", "5", "2/2/2/0/0", "0/4"),
    # S17. No group ready (R=2, U=1).
    Row("S17", 2, 1, 0, 0, "none ready, template edited", "xx", "0/2", "2b", "-", "2/2"),
    Row("S17", 2, 1, 0, 0, "next pass", "xx", "2/2", "5", "2/1/0/1/1", "1/2"),
    Row("S17", 2, 1, 0, 0, "1 ready", "xU", "1/2", "5", "1/1/1/0/0", "0/2"),
    # S18. User partition (R=6, U=1, partition 4, then 2, then 0).
    Row("S18", 6, 1, 0, 4, "worker template edited", "oooooo", "4/6", "2b", "-", "6/6"),
    Row("S18", 6, 1, 0, 4, "next pass", "oooooo", "6/6", "5", "6/1/0/5/0", "5/6"),
    Row("S18", 6, 1, 0, 4, "5 ready", "oooooU", "5/6", "5", "5/1/1/4/0", "4/6"),
    Row("S18", 6, 1, 0, 4, "4 ready (Available)", "ooooUU", "4/6", "5", "4/1/2/3/0", "4/6"),
    Row("S18", 6, 1, 0, 2, "partition 4→2", "ooooUU", "4/6", "5", "4/1/2/3/0", "3/6"),
    Row("S18", 6, 1, 0, 2, "3 ready", "oooUUU", "3/6", "5", "3/1/3/2/0", "2/6"),
    Row("S18", 6, 1, 0, 2, "2 ready (Available)", "ooUUUU", "2/6", "5", "2/1/4/1/0", "2/6"),
    Row("S18", 6, 1, 0, 0, "partition 2→0", "ooUUUU", "2/6", "5", "2/1/4/1/0", "1/6"),
    # S19. User partition with maxSurge (R=3, S=1, U=1, partition 2).
    Row("S19", 3, 1, 1, 2, "worker template edited", "ooo.", "2/3", "2b", "-", "3/4"),
    Row("S19", 3, 1, 1, 2, "next pass", "ooo.", "3/4", "5", "3/2/0/2/0", "2/4"),
    Row("S19", 3, 1, 1, 2, "3 and 2 ready (Available)", "ooUU", "2/4", "5", "2/2/2/0/0", "2/4"),
    Row("S19", 3, 1, 1, 0, "partition 2→0", "ooUU", "2/4", "5", "2/2/2/0/0", "0/4"),
    Row("S19", 3, 1, 1, 0, "1 and 0 ready", "UUUU", "0/4", "5", "0/2/4/0/0", "0/3"),
    # S20. Resize (R=2, U=1, size 3→4).
    Row("S20", 2, 1, 0, 0, "size 3→4", "oo", "0/2", "2b", "-", "2/2"),
    Row("S20", 2, 1, 0, 0, "next pass", "oo", "2/2", "5", "2/1/0/1/0", "1/2"),
    Row("S20", 2, 1, 0, 0, "1 ready", "oU", "1/2", "5", "1/1/1/0/0", "0/2"),
    Row("S20", 2, 1, 0, 0, "0 ready", "UU", "0/2", "3a", "-", "0/2"),
    # S21. Percentages (R=10, both 25 %).
    Row("S21", 10, "25%", "25%", 0, "worker template edited", "oooooooooo...", "0/10", "2b", "-", "10/13"),
    Row("S21", 10, "25%", "25%", 0, "next pass", "oooooooooo...", "10/13", "5", "10/5/0/8/0", "8/13"),
    Row("S21", 10, "25%", "25%", 0, "10–12 ready", "ooooooooooUUU", "8/13", "5", "10/5/3/5/0", "5/13"),
    Row("S21", 10, "25%", "25%", 0, "9–5 ready", "oooooUUUUUUUU", "5/13", "5", "5/5/8/0/0", "0/13"),
    Row("S21", 10, "25%", "25%", 0, "4–2 ready", "ooUUUUUUUUUUU", "0/13", "5", "2/5/11/0/0", "0/10"),
)
