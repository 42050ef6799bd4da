"""ImageNet to 93 % top-5 by fast.ai and DIUx's recipe of 2018 ("Now anyone can train ImageNet in 18 minutes")."""
