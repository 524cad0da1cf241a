"""The experiments of four texts on autoencoders, row by row.

A: credit-card fraud (D. Pinto Veizaga and D. Villa Lizárraga). B: network attacks and
uses of autoencoders (D. Charte). C: monitoring of a supercomputer (M. Lombardi). D:
uses of the code (O. Ramos Flores).
"""
