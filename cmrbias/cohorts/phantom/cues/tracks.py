"""Where local cues lie: a line on the skin far from the heart, or one around the heart at a distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.phantom.anatomy import THETA, Heart
from cmrbias.cohorts.phantom.torso import CENTRE, Wall

FAR_MM = 162.0  # from the middle of hearts; the largest reaches 60 mm towards the chest
HEART_AT = (-2.0, 6.0)
FREE_WALL = np.deg2rad(np.linspace(-80, 75, 156))  # directions from the pool in which no septum lies


@dataclass(frozen=True)
class Track:
    """A line that cues follow from its start, in mm from the image's middle.

    Attributes:
        points: (n, 2), under 2 mm apart.
        outward: (n, 2) unit vectors across the line, away from the body or the heart.
        run: (n,) length of the line up to each point.
    """

    points: np.ndarray
    outward: np.ndarray
    run: np.ndarray

    @classmethod
    def through(cls, points: np.ndarray) -> Track:
        """Returns the track of a line that has what it surrounds on its right as it goes clockwise."""
        along = np.gradient(points, axis=0)
        along /= np.hypot(*along.T)[:, None]
        steps = np.hypot(*np.diff(points, axis=0).T)
        outward = np.stack([along[:, 1], -along[:, 0]], 1)
        return cls(points, outward, np.concatenate([[0], np.cumsum(steps)]))

    def up_to(self, length: float) -> Track:
        """Returns the first ``length`` mm."""
        end = int(np.searchsorted(self.run, length)) + 1
        return Track(self.points[:end], self.outward[:end], self.run[:end])


def skin_track(wall: Wall, above: float = 0.0) -> Track:
    """Returns the line ``above`` mm over the skin of the upper right, from where hearts are far enough."""
    theta = np.deg2rad(np.linspace(-120, 0, 1201))
    skin = np.interp(theta, np.linspace(-2 * np.pi, 0, len(wall.skin), endpoint=False), wall.skin)
    radius = skin + above
    x, y = CENTRE[0] + radius * np.cos(theta), CENTRE[1] + radius * np.sin(theta)
    far = np.hypot(x - HEART_AT[0], y - HEART_AT[1]) >= FAR_MM
    start = int(np.argmax(far & (x > HEART_AT[0])))
    return Track.through(np.stack([x[start:], y[start:]], 1))


def heart_track(heart: Heart, distance: float) -> Track:
    """Returns the line at ``distance`` mm from the heart of either frame, along the left ventricle.

    Each of its points is found from outside along a ray, by steps as long as what is left to go: a
    distance changes no faster than the place.
    """
    edge = np.maximum(heart.ed.rv, heart.es.rv)[::2]
    outline = edge[:, None] * np.stack([np.cos(THETA[::2]), np.sin(THETA[::2])], 1)
    rays = np.stack([np.cos(FREE_WALL), np.sin(FREE_WALL)], 1)
    radius = np.full(len(rays), edge.max() + distance)
    for _ in range(12):
        places = radius[:, None] * rays
        squares = (places[:, :1] - outline[:, 0]) ** 2 + (places[:, 1:] - outline[:, 1]) ** 2
        radius -= np.sqrt(squares.min(1)) - distance
    return Track.through(heart.centre + radius[:, None] * rays)
