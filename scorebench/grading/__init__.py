"""Verdicts: what a reply's answer is, and whether it is right.

math/ reads and compares answers; code/ runs programs against tests, in the processes of sandbox/.
"""
