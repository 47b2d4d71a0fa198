"""Great Expectations' Data Docs of the gates: a folder of pages that load nothing and run nothing.

Great Expectations keeps the results, builds the site and its index (``site``); what stands on a page is decided in
``renderers``, and written by ``view`` with the templates beside it. Its own templates are not used: they load styles,
icons and the script that makes the index from a dozen addresses on the network, show no row that is at fault, and put
what they are given into the page as it is, markup and all.
"""
