"""Is a map to be believed? Do maps follow what was learnt, another training, another network, the heart?"""
