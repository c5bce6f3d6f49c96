"""Plans filled by hand: what the templates are to print, independent of the compiler."""
