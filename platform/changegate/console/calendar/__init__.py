"""The calendar of planned changes: month and week on a page, and feeds for calendar programs.

Begin with `views`. `state` is what the URL of the page means, `days` arranges changes and freezes by day, and `feeds`
renders them as iCalendar (RFC 5545).
"""
