"""What all of the ELF codec stands on: arrays, file layout, copies and the address map."""
