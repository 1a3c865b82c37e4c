"""Every figure of the kit, with alt text."""

from .style import Picture, figure, show, style

__all__ = ["Picture", "figure", "show", "style"]
