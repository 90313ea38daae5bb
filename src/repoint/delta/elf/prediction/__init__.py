"""The prediction of the new file that encoder and decoder share."""
